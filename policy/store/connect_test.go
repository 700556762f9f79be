package store

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestOneLine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, failure := pgconn.Connect(t.Context(), "postgres://u:secret@"+address+"/d")
	err = OneLine(failure)
	if text := err.Error(); strings.Contains(text, "\n") || strings.Count(text, address) != 1+strings.Count(text, "dial tcp "+address) ||
		!strings.Contains(text, "refused") || strings.Contains(text, "secret") {
		t.Errorf("%q of %q", text, failure)
	}
	var kept *pgconn.ConnectError
	if !errors.As(err, &kept) {
		t.Error("the cause is lost")
	}
	if other := errors.New("a\nb"); OneLine(other) != other || OneLine(nil) != nil {
		t.Error("other errors were changed")
	}
}
