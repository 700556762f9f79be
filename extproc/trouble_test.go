package extproc

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

func TestTroubleIsToldOnceAMinute(t *testing.T) {
	var out bytes.Buffer
	tr := trouble{log: slog.New(slog.NewTextHandler(&out, nil)), name: func(id string) string { return "model " + id }, since: map[string]failures{}}
	now := time.Unix(1_700_000_000, 0)
	tell := func(id string, after time.Duration) {
		tr.failed(route.Outcome{DeploymentID: id, Status: 500}, "refused", now.Add(after))
	}
	tr.failed(route.Outcome{DeploymentID: "a", Status: 400}, "", now) // the client's own: it takes no line from "a"
	tell("a", 0)
	for range 10 {
		tell("a", 30*time.Second)
	}
	tell("b", 30*time.Second)
	tell("a", time.Minute)
	tr.failed(route.Outcome{DeploymentID: "c", Status: 400, Kind: apierror.Unauthenticated}, "", now)
	if text := out.String(); strings.Contains(text, `why=""`) || !strings.Contains(text, "deployment=c") {
		t.Errorf("told:\n%s", text)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[1], "deployment=b") || !strings.Contains(lines[2], "failed_before=10") {
		t.Errorf("told:\n%s", out.String())
	}
}
