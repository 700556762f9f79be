package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

// Answers that are written as they are read hold a connection of the database for as long as their client takes, and
// any key may ask for one. So there are few at a time, and each has an end.
const (
	mostExports   = 4
	longestExport = 10 * time.Minute
	longestWrite  = 30 * time.Second // of one piece
)

// export lets a stream write itself.
func (c *call) export(w http.ResponseWriter, write stream) *apierror.Error {
	select {
	case c.s.exports <- struct{}{}:
		defer func() { <-c.s.exports }()
	default:
		e := apierror.New(apierror.RateLimit, http.StatusTooManyRequests, "%d exports are being written; try again when one has ended", mostExports)
		e.RetryAfter = 10 * time.Second
		return e
	}
	ctx, cancel := context.WithTimeout(c.ctx, longestExport)
	defer cancel()
	c.ctx = ctx
	if err := write(&impatient{w, http.NewResponseController(w), cancel}); err != nil { // the client sees a short body
		c.s.o.Log.Warn("an answer could not be written whole", "path", printable(c.path), "error", err)
	}
	return nil
}

// impatient gives each write its time, and ends everything after one that failed.
type impatient struct {
	http.ResponseWriter
	control *http.ResponseController
	cancel  func()
}

func (w *impatient) Write(b []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(longestWrite)) // where it can be set
	n, err := w.ResponseWriter.Write(b)
	if err != nil {
		w.cancel()
	}
	return n, err
}
