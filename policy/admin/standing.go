package admin

import (
	"errors"
	"net/http"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

// Standing is how a deployment stands, as GET /health/events shows it.
type Standing struct {
	ID       string     `json:"id"`
	Model    string     `json:"model"`
	State    string     `json:"state"`           // up, out or trial: its cooldown is over, and no good answer has come since
	Until    *time.Time `json:"until,omitempty"` // of out
	Why      string     `json:"why,omitempty"`   // of out and trial
	Streak   int        `json:"streak"`          // cooldowns in a row
	InFlight int64      `json:"in_flight"`
}

// HealthEvent is a change of a deployment's health.
type HealthEvent struct {
	At         time.Time  `json:"at"`
	Kind       string     `json:"kind"` // out, trial or back
	Deployment string     `json:"deployment"`
	Model      string     `json:"model"`
	Until      *time.Time `json:"until,omitempty"`
	Why        string     `json:"why,omitempty"`
	Status     int        `json:"status,omitempty"`
	Streak     int        `json:"streak,omitempty"`
}

// healthEvents says who is out, why and until when, and what happened before; for admins.
func (s *Server) healthEvents(w http.ResponseWriter, r *http.Request) *apierror.Error {
	if err := s.operator(r); err != nil {
		return err
	}
	standings, events := s.o.Standings()
	return answer(w, http.StatusOK, struct {
		Deployments []Standing    `json:"deployments"`
		Events      []HealthEvent `json:"events"`
	}{standings, events})
}

// explain says in plain text what a call to ?model= would try; for admins.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) *apierror.Error {
	if err := s.operator(r); err != nil {
		return err
	}
	model := r.URL.Query().Get("model")
	if model == "" {
		return apierror.New(apierror.BadRequest, http.StatusBadRequest, "say which model: /health/explain?model=NAME")
	}
	text, err := s.o.Explain(model)
	var told *apierror.Error
	switch {
	case errors.As(err, &told):
		return told
	case err != nil:
		return apierror.New(apierror.Internal, http.StatusInternalServerError, "the plan could not be explained: %s", err)
	}
	w.Header().Set("content-type", "text/plain; charset=utf-8")
	if _, err := w.Write(text); err != nil { // the client is gone
		s.o.Log.Debug("an explanation was not delivered", "error", err)
	}
	return nil
}

// operator lets admins pass: where deployments are, and what they do, is not for every key.
func (s *Server) operator(r *http.Request) *apierror.Error {
	_, key, err := s.authenticate(r)
	if err != nil {
		return err
	}
	if !key.IsAdmin() {
		e := apierror.New(apierror.Unauthenticated, http.StatusUnauthorized,
			"Only proxy admins can use %s: use the master key.", printable(r.URL.Path))
		e.Type = "auth_error"
		return e
	}
	return nil
}
