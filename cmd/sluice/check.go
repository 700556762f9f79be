package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
	"github.com/sluicegw/sluice/policy/store"
	"github.com/sluicegw/sluice/xds"
)

// checkSocket stands for the demo model's socket, which only a running gateway has.
const checkSocket = "/run/sluice/demo.sock"

// runCheck is `sluice check`: it loads the configuration as a start would, and explains it to a person. It
// connects to nothing and changes nothing. The result is the exit status: 0, or 1 with faults.
func runCheck(opts options, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	if opts.url != "" {
		if err := explainRemote(opts, stdout, env); err != nil {
			fmt.Fprintln(stderr, err)
			return 1
		}
		return 0
	}
	c, err := loadFile(opts.config, env)
	var a *assembly
	if err == nil {
		if a, err = assemble(c, surroundings{maxBody: opts.maxBody, demoSocket: checkSocket}); err != nil {
			err = errors.Join(err, refuseGuardrails(c))
		}
	}
	w := &printer{w: stdout}
	if err != nil {
		faults := strings.Split(err.Error(), "\n")
		fmt.Fprintf(stderr, "%s\n\n%s has %s; the gateway would not start with it.\n", strings.Join(faults, "\n"), opts.config, plural(len(faults), "fault"))
		w.warnings(c, nil)
		return 1
	}
	if opts.requestTimeout > 0 {
		a.snapshot.Timeout = opts.requestTimeout
	}
	if opts.explain != "" {
		err := explain(stdout, a, &moment{}, opts.explain, time.Now())
		switch {
		case errors.Is(err, errNobodyServes):
			return 1
		case err != nil:
			fmt.Fprintf(stderr, "writing the report: %s\n", err)
			return 1
		}
		return startable(c, opts.config, stderr)
	}
	plans := makePlans(a)
	w.groups(a, plans)
	w.calls(a, plans)
	w.routes(a)
	w.warnings(c, append(opts.notices, a.warnings...))
	if len(c.Guardrails) == 0 {
		w.printf("%s is valid: %s.\n", opts.config, a.summary())
	}
	if w.err != nil {
		fmt.Fprintf(stderr, "writing the report: %s\n", w.err)
		return 1
	}
	return startable(c, opts.config, stderr)
}

// startable says what else would keep a gateway from starting with a configuration that can be read, as a start
// would. The result is the exit status.
func startable(c *config.Config, file string, stderr io.Writer) int {
	err := refuseGuardrails(c)
	if err == nil {
		err = store.CheckURL(databaseURL(c))
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "%s\n\n%s can be read, but the gateway would not start with it.\n", err, file)
	return 1
}

// plan is what a call to one group would try.
type plan struct {
	asked  string // the name asked for: the group, or an example of what its wildcard serves
	likely *route.Plan
	why    *apierror.Error // why there is none
	shares map[string]int  // per cent of first attempts, by deployment id
}

// makePlans asks the planner itself, once for every hundredth of its dice: the shares are what it does,
// not what this file thinks that it does.
func makePlans(a *assembly) map[string]*plan {
	out := map[string]*plan{}
	for _, group := range a.config.Groups() {
		p := &plan{asked: strings.ReplaceAll(group, "*", "example"), shares: map[string]int{}}
		out[group] = p
		likely := map[string]*route.Plan{}
		for i := range 100 {
			got, err := a.snapshot.Table.Plan(route.Ask{Group: p.asked, Can: a.can}, nil, dice(i))
			if err != nil {
				p.why = err
				break
			}
			first := got.Attempts[0].Deployment.ID
			p.shares[first]++
			if likely[first] == nil {
				likely[first] = got
			}
			if p.likely == nil || p.shares[first] > p.shares[p.likely.Attempts[0].Deployment.ID] {
				p.likely = likely[first]
			}
		}
	}
	return out
}

// can is what a call asks of each deployment, without a call.
func (a *assembly) can(d *route.Deployment) error {
	if own := a.snapshot.Deployments[d.ID]; own != nil && own.Out != "" {
		return apierror.New(apierror.Unavailable, http.StatusServiceUnavailable, "out of service: %s", own.Out)
	}
	return nil
}

// summary counts the deployments by their state.
func (a *assembly) summary() string {
	ready, out, unbuilt := 0, 0, 0
	for _, d := range a.deployments {
		switch {
		case d.notBuilt:
			unbuilt++
		case d.out != "":
			out++
		default:
			ready++
		}
	}
	s := plural(ready, "deployment") + " ready"
	if out > 0 {
		s += fmt.Sprintf(", %d without credentials", out)
	}
	if unbuilt > 0 {
		s += fmt.Sprintf(", %d of providers that are not built yet", unbuilt)
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printer writes the sections of the report and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(p.w, format, args...); err != nil && p.err == nil {
		p.err = err
	}
}

// table writes rows of tab-separated cells under a title.
func (p *printer) table(title string, rows []string) {
	if len(rows) == 0 {
		return
	}
	p.printf("%s\n", title)
	tw := tabwriter.NewWriter(p.w, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintf(tw, "  %s\n", row); err != nil && p.err == nil {
			p.err = err
		}
	}
	if err := tw.Flush(); err != nil && p.err == nil {
		p.err = err
	}
	p.printf("\n")
}

// routes tells which paths go where.
func (p *printer) routes(a *assembly) {
	var paths []string
	for _, path := range xds.ModelPaths {
		paths = append(paths, "/v1"+path)
	}
	key := "with the master key"
	if a.config.General.MasterKey == "" {
		key = "open to everyone: there is no master key"
	}
	p.table("PATHS", []string{
		"POST " + strings.Join(paths, ", ") + "\tto the models (" + key + "); also without /v1",
		"everything else: /v1/models, /health, /metrics …\tanswered by sluice itself",
	})
}

func (p *printer) warnings(c *config.Config, more []string) {
	if c == nil {
		return
	}
	for _, f := range c.Warnings {
		p.printf("warning %s\n", f)
	}
	for _, m := range more {
		p.printf("warning %s\n", m)
	}
	if len(c.Warnings)+len(more) > 0 {
		p.printf("\n")
	}
}
