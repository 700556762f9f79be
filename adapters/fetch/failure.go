package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

// Failure is why a file could not be had, in words for the client. It holds neither the URL, which may be
// signed, nor any address or name of what it led to, which may be the operator's own.
type Failure struct {
	Why  string // goes on after the name of the field: "could not be fetched: …"
	Busy bool   // this gateway's making: worth another try
}

func (f *Failure) Error() string { return f.Why }

var (
	errURL        = errors.New("must be an http(s) URL with a host")
	errUser       = errors.New("must not hold a user or a password")
	errPrivate    = errors.New("not a public address")
	errRedirects  = errors.New("could not be fetched: it redirects more than three times")
	errCompressed = errors.New("could not be fetched: its server sends it compressed, which was not asked for")
	errEmpty      = errors.New("could not be fetched: the file is empty")
	errType       = errors.New("leads to something that is no image, PDF, audio, video or text")
)

type statusError int

func (e statusError) Error() string {
	return fmt.Sprintf("could not be fetched: its server answered %d", int(e))
}

type tooLarge int64

func (e tooLarge) Error() string {
	return fmt.Sprintf("leads to a file of more than %d bytes, which is the most that is fetched", int64(e))
}

// failure says in plain words what went wrong. That a host is private and that it does not exist are the
// same to a client: otherwise it could ask for the names of the operator's network.
func failure(err error) *Failure {
	var status statusError
	var large tooLarge
	var dns *net.DNSError
	var timeout net.Error
	for _, plain := range []error{errURL, errUser, errRedirects, errCompressed, errEmpty, errType} {
		if errors.Is(err, plain) {
			return &Failure{Why: plain.Error()}
		}
	}
	switch {
	case errors.As(err, &status):
		return &Failure{Why: status.Error()}
	case errors.As(err, &large):
		return &Failure{Why: large.Error()}
	case errors.Is(err, errPrivate), errors.As(err, &dns):
		return &Failure{Why: "could not be fetched: its host does not exist, or is not on the public internet"}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &Failure{Why: "could not be fetched in time"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Failure{Why: "could not be fetched: its server stopped before the end"}
	}
	return &Failure{Why: "could not be fetched: its server could not be reached"}
}
