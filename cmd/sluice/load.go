package main

import (
	"errors"
	"strings"

	"github.com/sluicegw/sluice/cmd/sluice/config"
)

// loadFile reads a configuration. Where its values are at fault, what the providers find wrong with the other
// deployments is told with them, so that nobody mends one to be told of the next.
func loadFile(path string, env func(string) (string, bool)) (*config.Config, error) {
	c, err := config.Load(path, env)
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		return c, err
	}
	faults = append(append(faults, providerFaults(c, faults)...), guardrailFaults(c)...)
	faults.Sort(c.Files)
	return c, faults
}

// providerFaults are what the providers find wrong with deployments in which nothing is at fault already.
func providerFaults(c *config.Config, already config.Faults) (faults config.Faults) {
	faulty := map[int]bool{} // deployments, by their index
	for _, f := range already {
		if strings.HasPrefix(f.Field, "model_list[") {
			faulty[deploymentAt(c, f)] = true
		}
	}
	a := &assembly{config: c}
	if _, err := newFetcher(c); err != nil {
		if f, ok := errors.AsType[config.Fault](err); ok {
			faults = append(faults, f)
		}
	}
	for i := range c.Deployments {
		d := &c.Deployments[i]
		if faulty[i] {
			continue // half of it was not read
		}
		_, err := a.target(d, surroundings{demoSocket: checkSocket})
		if f, ok := errors.AsType[config.Fault](err); ok {
			faults = append(faults, f)
		}
	}
	return faults
}

// deploymentAt is the index of the deployment in whose lines a fault is: the last one that begins before it; -1: none.
func deploymentAt(c *config.Config, f config.Fault) int {
	at := -1
	for i := range c.Deployments {
		d := &c.Deployments[i]
		if d.File == f.File && d.Line <= f.Line && (at < 0 || d.Line > c.Deployments[at].Line) {
			at = i
		}
	}
	return at
}
