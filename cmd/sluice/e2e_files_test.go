package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"time"
)

// cmdCert: cert NAME
//
// Writes a new certificate with that common name to cert.pem and its key to key.pem, each replaced at
// once.
func cmdCert(s *step) {
	name := s.next("a common name")
	chain, key, err := selfSigned(name)
	s.Check(err)
	s.replace("cert.pem", chain)
	s.replace("key.pem", key)
}

// replace writes a file the way that editors and config maps do: another file takes its name.
func (s *step) replace(file string, text []byte) {
	s.Check(os.WriteFile(s.MkAbs(file+".new"), text, 0o600))
	s.Check(os.Rename(s.MkAbs(file+".new"), s.MkAbs(file)))
}

func selfSigned(name string) (chain, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), err
}

// cmdShown: shown [@NAME] NAME
//
// Waits until new connections are shown the certificate with that common name.
func cmdShown(s *step) {
	p, want := s.mustRun(), s.next("a common name")
	s.eventually("new connections see the certificate of "+want, func() bool {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(p.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName == want
	})
}

// cmdEdit: edit FILE OLD NEW
//
// Replaces a text that stands in the file, at once.
func cmdEdit(s *step) {
	file, before, after := s.next("the file"), s.next("the old text"), s.next("the new text")
	text := s.ReadFile(file)
	if !strings.Contains(text, before) {
		s.Fatalf("%s does not hold %q", file, before)
	}
	s.replace(file, []byte(strings.ReplaceAll(text, before, after)))
}
