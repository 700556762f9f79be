package failure

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/internal/apierror"
)

var update = flag.Bool("update", false, "write the table into docs/errors.md")

func TestFind(t *testing.T) {
	bit := func(names ...string) (flags uint64) {
		for _, name := range names {
			found := false
			for _, row := range Table {
				if row.Flag == name {
					flags |= 1 << row.Bit
					found = true
				}
			}
			if !found {
				t.Fatalf("no row has the flag %s", name)
			}
		}
		return flags
	}
	for _, tt := range []struct {
		name    string
		flags   uint64
		details string
		given   int // Envoy's status
		status  int
		kind    apierror.Kind
		words   string
	}{
		{"timeout", bit("UT"), "upstream_response_timeout", 504, 408, apierror.Timeout, "in time"},
		{"timeout of the last of several", bit("UT", "URX"), "upstream_response_timeout", 504, 408, apierror.Timeout, "in time"},
		{"refused", bit("UF", "URX"), "upstream_reset_before_response_started{connection_failure}", 503, 500, apierror.Unavailable, "reached"},
		{"hung up", bit("UC"), "upstream_reset_before_response_started{connection_termination}", 503, 500, apierror.Unavailable, "hung up"},
		{"no cluster", bit("NC"), "cluster_not_found", 503, 503, apierror.Unavailable, "in service"},
		{"a large request", 0, "request_payload_too_large", 413, 413, apierror.TooLarge, "limit"},
		{"a large answer", 0, "response_payload_too_large", 500, 500, apierror.BadReply, "limit"},
		{"a processor that is gone", 0, "ext_proc_error_gRPC_error_14", 500, 503, apierror.Internal, "processor"},
		{"something new", 0, "never_seen", 0, 500, apierror.Internal, "could not"},
		{"something new with a status", 0, "never_seen", 429, 429, apierror.RateLimit, "could not"},
		{"something new that is no error", 0, "never_seen", 200, 500, apierror.Internal, "could not"},
		{"a flag of the future", 1 << 60, "never_seen", 503, 503, apierror.Overloaded, "could not"},
		{"nothing", 0, "", 0, 500, apierror.Internal, "could not"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := Find(tt.flags, tt.details, tt.given)
			if e.Status != tt.status || e.Kind != tt.kind || !strings.Contains(e.Message, tt.words) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestTable: every row can be reached, says something, and is an error.
func TestTable(t *testing.T) {
	bits := map[uint]string{}
	for i, row := range Table {
		if row.Status < 400 || row.Status > 599 || row.Message == "" || row.Kind == "" {
			t.Errorf("row %d: %+v", i, row)
		}
		if row.Flag == "" && row.Details == "" {
			t.Errorf("row %d matches everything", i)
		}
		if row.Flag != "" {
			if other, twice := bits[row.Bit]; twice && other != row.Flag {
				t.Errorf("%s and %s have the same bit", other, row.Flag)
			}
			bits[row.Bit] = row.Flag
		}
		flags := uint64(0)
		if row.Flag != "" {
			flags = 1 << row.Bit
		}
		if e := Find(flags, row.Details, 0); e.Message != row.Message {
			t.Errorf("row %d is behind one that answers %q", i, e.Message)
		}
		if strings.ContainsAny(row.Message, "%\"\\") {
			// Envoy would read it as a format (https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/advanced/substitution_formatter).
			t.Errorf("row %d: %q cannot stand in Envoy's configuration", i, row.Message)
		}
	}
}

const (
	begin = "<!-- begin: made from envoy/failure, with go test ./envoy/failure -update -->\n"
	end   = "<!-- end -->\n"
)

// TestDocumentation holds docs/errors.md and the table together.
func TestDocumentation(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "errors.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s lacks the lines %q and %q", path, begin, end)
	}
	want := markdown()
	switch {
	case old == want:
	case *update:
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the table says: run go test ./envoy/failure -update", path)
	}
}

func markdown() string {
	var b strings.Builder
	b.WriteString("\n| flag | details | status | type | message |\n|---|---|---|---|---|\n")
	fmt.Fprintf(&b, "| %s | of sluice's own API | %d | %s | %s |\n", strings.Join(AwayFlags, ", "), Away.Status, apierror.TypeFor(Away.Status), Away.Message)
	for _, row := range append(append([]Row{}, Table...), Rest) {
		flag, details, status := row.Flag, row.Details, fmt.Sprint(row.Status)
		if details != "" {
			details = "`" + details + "`"
		}
		if flag == Rest.Flag {
			flag, status = "any other", "Envoy's, or 500"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", flag, details, status, apierror.TypeFor(row.Status), row.Message)
	}
	return b.String() + "\n"
}
