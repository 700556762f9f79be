package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

// groups is the table of model groups and their deployments.
func (p *printer) groups(a *assembly, plans map[string]*plan) {
	rows := []string{"GROUP\tDEPLOYMENT\tHOST\tFIRST\tSTATE"}
	byGroup := map[string][]deploymentState{}
	var hidden []deploymentState
	for _, d := range a.deployments {
		if d.config.Hidden {
			hidden = append(hidden, d)
		} else {
			byGroup[d.config.Group] = append(byGroup[d.config.Group], d)
		}
	}
	for _, group := range a.config.Groups() {
		for i, d := range byGroup[group] {
			name := group
			if i > 0 {
				name = ""
			}
			first := strconv.Itoa(plans[group].shares[d.config.ID]) + " %"
			if d.out != "" {
				first = "-"
			}
			rows = append(rows, strings.Join([]string{name, model(d), host(d), first, d.state()}, "\t"))
		}
	}
	for i, d := range hidden {
		name := "(for fallbacks only)"
		if i > 0 {
			name = ""
		}
		rows = append(rows, strings.Join([]string{name, model(d), host(d), "-", d.state()}, "\t"))
	}
	if len(rows) == 1 {
		rows = []string{"none: model_list is empty"}
	}
	p.table("MODELS", rows)
}

func (d *deploymentState) state() string {
	switch {
	case d.out == "":
		return "ready"
	case d.notBuilt:
		return "not built yet"
	}
	return "no credentials: " + d.out
}

// model is provider/model, whether the configuration spells the provider out or not.
func model(d deploymentState) string {
	if d.target == nil {
		return d.config.Model
	}
	return d.target.Provider() + "/" + d.target.Model()
}

// builtIn is where the demo model is.
const builtIn = "built in"

func host(d deploymentState) string {
	switch {
	case d.target == nil:
		return "-"
	case d.target.Provider() == "demo" && d.config.APIBase == "":
		return builtIn
	}
	return address(d.target.Origin())
}

func address(e adapters.Endpoint) string {
	if e.Socket != "" {
		return e.Socket
	}
	if e.Scheme == "https" && e.Port == 443 {
		return e.Host
	}
	return apiBase(e)
}

// calls shows, for each group, the attempts that a call would make, in order.
func (p *printer) calls(a *assembly, plans map[string]*plan) {
	names := map[string]string{}
	for _, d := range a.deployments {
		names[d.config.ID] = model(d)
	}
	p.printf("CALLS: what each would try, as long as attempts fail")
	if r := a.config.Router; r.NumRetries > 0 {
		p.printf(" (%s within a group, then its fallbacks)", plural(r.NumRetries, "more attempt"))
	}
	p.printf("\n")
	for _, group := range a.config.Groups() {
		pl := plans[group]
		p.printf("  %s", group)
		if pl.asked != group {
			p.printf(" (asked for as %s)", pl.asked)
		}
		p.printf("\n")
		if pl.why != nil {
			p.printf("     nothing: %s\n", reason(pl.why))
			continue
		}
		p.attempts(pl.likely, names)
	}
	p.printf("\n")
	p.aliases(a)
}

// attempts lists a plan's attempts, the groups after the first set apart.
func (p *printer) attempts(pl *route.Plan, names map[string]string) {
	fallback := 0
	seen := map[string]bool{}
	for i, at := range pl.Attempts {
		if at.Fallback != fallback {
			fallback = at.Fallback
			word := "then"
			if i == 0 { // nothing of the group itself is in service
				word = "instead"
			}
			p.printf("     %s %s\n", word, at.Group)
		}
		name := at.Expand(names[at.Deployment.ID])
		if seen[at.Deployment.ID] {
			name += ", again"
		}
		seen[at.Deployment.ID] = true
		p.printf("     %2d. %s%s\n", i+1, name, within(at.Timeout))
	}
	p.instead("too long a prompt", pl, apierror.ContextLength, names)
	p.instead("refused content", pl, apierror.ContentPolicy, names)
}

// instead tells what follows the first attempt after a failure of a kind that has fallbacks of its own.
func (p *printer) instead(what string, pl *route.Plan, kind apierror.Kind, names map[string]string) {
	var list []string
	for _, i := range pl.After(kind) {
		at := pl.At(i)
		list = append(list, at.Expand(names[at.Deployment.ID]))
	}
	if list != nil {
		p.printf("     after %s: %s\n", what, strings.Join(list, ", "))
	}
}

// within tells a time limit that somebody chose; LiteLLM's default of 100 minutes is none.
func within(d time.Duration) string {
	switch {
	case d <= 0 || d >= 6000*time.Second:
		return ""
	case d%time.Minute == 0:
		return fmt.Sprintf(" (at most %d min)", d/time.Minute)
	}
	return fmt.Sprintf(" (at most %s)", d.Round(time.Millisecond))
}

// reason is why a group has no plan. Its own deployments' reasons stand in the table already.
func reason(err *apierror.Error) string {
	if err.Kind == apierror.Unavailable {
		return fmt.Sprintf("no deployment is in service, so clients get %d", err.Status)
	}
	return fmt.Sprintf("clients get %d, %s", err.Status, err.Message)
}

func (p *printer) aliases(a *assembly) {
	names, groups := a.snapshot.Table.Aliases()
	rows := make([]string, 0, len(names))
	for _, name := range names {
		rows = append(rows, name+"\t→ "+groups[name])
	}
	p.table("ALIASES", rows)
}
