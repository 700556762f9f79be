package extproc

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

const (
	// troubleEvery is how often a deployment's failures are told.
	troubleEvery = time.Minute
	mostTold     = 1 << 16
)

// trouble tells of deployments whose attempts fail: the first failure at once, those that follow once a
// minute with their number, so that an outage is seen and fills no disk. Whether a deployment then rests
// is the health tracker's to decide, and a group's only one may not.
type trouble struct {
	log  *slog.Logger
	name func(deployment string) string

	mu    sync.Mutex
	since map[string]failures
}

type failures struct {
	told time.Time
	more int // since then
}

// clients are the statuses that speak of one request, not of the deployment that refuses it.
var clients = map[int]bool{http.StatusBadRequest: true, http.StatusRequestEntityTooLarge: true, http.StatusUnprocessableEntity: true}

// failed counts an attempt. why is why the deployment could not be reached, where that is known.
func (t *trouble) failed(o route.Outcome, why string, now time.Time) {
	if clients[o.Status] && o.Kind != apierror.Unauthenticated && o.Kind != apierror.Forbidden { // a key may be refused by a 400
		t.log.Debug("a deployment refused a request", "deployment", o.DeploymentID, "target", t.name(o.DeploymentID), "status", o.Status)
		return
	}
	t.mu.Lock()
	f := t.since[o.DeploymentID]
	if now.Sub(f.told) < troubleEvery {
		f.more++
		t.since[o.DeploymentID] = f
		t.mu.Unlock()
		return
	}
	if len(t.since) >= mostTold { // reloads leave deployments behind
		clear(t.since)
	}
	t.since[o.DeploymentID] = failures{told: now}
	t.mu.Unlock()
	told := []any{"deployment", o.DeploymentID, "target", t.name(o.DeploymentID), "status", o.Status, "kind", string(o.Kind)}
	if why != "" {
		told = append(told, "why", why)
	}
	t.log.Warn("an attempt failed; further ones of this deployment are counted for a minute", append(told, "failed_before", f.more)...)
}
