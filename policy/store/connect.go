package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// connector makes connections whose failures are told as [OneLine] does.
type connector struct{ driver.Connector }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	return conn, OneLine(err)
}

// OneLine is a failure to connect to PostgreSQL in one line, for a log. pgx tells every address that it tried on a line
// of its own, and each of them twice: with TLS and without. Other errors stay as they are.
func OneLine(err error) error {
	var failed *pgconn.ConnectError
	if err == nil || !errors.As(err, &failed) {
		return err
	}
	return oneLine{err}
}

type oneLine struct{ error }

func (e oneLine) Unwrap() error { return e.error }

func (e oneLine) Error() string {
	what, tried, _ := strings.Cut(e.error.Error(), "\n")
	var lines []string
	for line := range strings.Lines(tried) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(what + " " + strings.Join(lines, "; "))
}
