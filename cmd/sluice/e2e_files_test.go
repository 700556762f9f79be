package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
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
	a, err := newAuthority(name)
	s.Check(err)
	key, err := keyPEM(a.key)
	s.Check(err)
	s.replace("cert.pem", a.pem)
	s.replace("key.pem", key)
}

// replace writes a file the way that editors and config maps do: another file takes its name.
func (s *step) replace(file string, text []byte) {
	s.Check(os.WriteFile(s.MkAbs(file+".new"), text, 0o600))
	s.Check(os.Rename(s.MkAbs(file+".new"), s.MkAbs(file)))
}

// authority signs certificates for localhost.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, err
}

// sign makes another pair for localhost.
func (a *authority) sign() (chain, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	key, err = keyPEM(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key, err
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), err
}

// cmdAuthority: authority NAME
//
// Makes a certificate authority, and writes ca.crt and two pairs that it has signed for localhost: tls.crt
// and tls.key into NAME/, sluice.crt and sluice.key likewise.
func cmdAuthority(s *step) {
	name := s.next("a name")
	a, err := newAuthority(name)
	s.Check(err)
	s.Check(os.MkdirAll(s.MkAbs(name), 0o700))
	s.replace(name+"/ca.crt", a.pem)
	for _, pair := range []string{"tls", "sluice"} {
		chain, key, err := a.sign()
		s.Check(err)
		s.replace(name+"/"+pair+".crt", chain)
		s.replace(name+"/"+pair+".key", key)
	}
}

// cmdDial: dial ADDRESS [AUTHORITY]
//
// Dials over TLS and speaks HTTP/2's first words, with the authority's tls.crt or with no certificate;
// fails unless the other end answers.
func cmdDial(s *step) {
	address := s.next("an address")
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
	if len(s.args) > 0 {
		pair, err := tls.LoadX509KeyPair(s.MkAbs(s.args[0]+"/tls.crt"), s.MkAbs(s.args[0]+"/tls.key"))
		s.Check(err)
		config.Certificates = []tls.Certificate{pair}
	}
	err := func() error {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", address, config)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 1))
		return err
	}()
	s.Logf("dial: %v", err)
	if (err == nil) == s.neg {
		s.Fatalf("dialling %s: %v", address, err)
	}
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
