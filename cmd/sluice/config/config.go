// Package config reads LiteLLM's config.yaml, and the files that it includes, into one immutable value
// that is valid as a whole.
//
// A configuration with faults is refused with all of them at once, each with its file, line and field; a
// doubtful one loads and says so in [Config.Warnings]. Where a setting may stand in two sections, the
// precedence is LiteLLM's: see [Router]. The format is described at
// https://docs.litellm.ai/docs/proxy/configs.
//
// It knows no provider, makes no connection and decides no route: it only says what the file says.
package config

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Config is a loaded configuration. Nobody changes it after Load: whoever needs something else makes a
// copy, or loads anew.
type Config struct {
	// Path is the file given to Load, Files that one and everything it includes.
	Path  string
	Files []string

	// Deployments are those of model_list in its order, then the hidden ones that fallbacks name by
	// provider/model.
	Deployments []Deployment
	Router      Router
	General     General
	Redis       Redis // shared with other gateways; not set: this one counts alone
	Settings    Settings
	Budgets     Budgets
	Guardrails  []Guardrail

	// Environment is the section environment_variables, resolved. It comes before the process's
	// environment wherever a variable is looked up: use [Config.LookupEnv].
	Environment map[string]Secret

	Warnings []Fault

	env         func(string) (string, bool)
	credentials map[string]*value // credential_list
}

// LookupEnv is the value of an environment variable, the section environment_variables first. It is how
// a provider's own variable (OPENAI_API_KEY) is found for a deployment without an api_key.
func (c *Config) LookupEnv(name string) (string, bool) {
	if s, ok := c.Environment[name]; ok {
		return s.Reveal(), true
	}
	if c.env == nil {
		return "", false
	}
	return c.env(name)
}

// Groups are the model groups in the order in which they first appear, hidden ones left out.
func (c *Config) Groups() []string {
	var out []string
	seen := map[string]bool{}
	for i := range c.Deployments {
		d := &c.Deployments[i]
		if !d.Hidden && !seen[d.Group] {
			seen[d.Group] = true
			out = append(out, d.Group)
		}
	}
	return out
}

// Load reads the configuration at path. env looks up environment variables, as os.LookupEnv does; nil
// means that there are none. The error is [Faults] whenever the files themselves are at fault, and then
// the Config still carries the warnings.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	return load(path, readFile, fileExists, env)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("cannot be read: %s is a directory", path)
	}
	if info.Size() > maxFileBytes {
		return make([]byte, maxFileBytes+1), nil // refused by its size alone, with the same words
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return data, nil
}

func fileExists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func load(path string, read func(string) ([]byte, error), exists func(string) bool, env func(string) (string, bool)) (*Config, error) {
	c := &Config{Path: path, env: env, Environment: map[string]Secret{}}
	r := &reader{env: environment{process: env, section: map[string]string{}}, aliasAt: map[string]*value{}, said: map[string]bool{}}
	s := &source{read: read, exists: exists, r: r}
	root := s.load(path)
	c.Files = s.files
	if root != nil && len(r.faults) == 0 {
		r.config(c, root)
	}
	r.faults.Sort(c.Files)
	Faults(r.warnings).Sort(c.Files)
	c.Warnings = r.warnings
	if r.dropped > 0 {
		c.Warnings = append(c.Warnings, Fault{File: path, Message: fmt.Sprintf("%d more warnings are not shown", r.dropped)})
	}
	if len(r.faults) > 0 {
		return c, r.faults
	}
	return c, nil
}

// Sort puts faults in the order of files and lines, as somebody who corrects them goes through them.
func (fs Faults) Sort(files []string) {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		if c := cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)); c != 0 {
			return c
		}
		return cmp.Compare(a.Line, b.Line)
	})
}

// config reads all sections. environment_variables come first: the others may refer to them.
func (r *reader) config(c *Config, root *value) {
	r.readEnvironment(root.get("environment_variables"))
	for name, s := range r.env.section {
		c.Environment[name] = Secret(s)
	}
	for _, m := range root.members {
		if m.name != "environment_variables" {
			r.resolveEnv(m.v, 0)
		}
	}
	r.sections(root)
	r.routerSettings(c, root.get("router_settings"), root.get("litellm_settings"))
	r.litellmSettings(c, root.get("litellm_settings"))
	r.generalSettings(c, root.get("general_settings"))
	if !c.Redis.Set() {
		c.Redis = r.environmentRedis()
	}
	r.guardrails(c, root.get("guardrails"), "guardrails")
	r.guardrails(c, root.get("litellm_settings").get("guardrails"), "litellm_settings.guardrails")
	c.credentials = r.credentials(root.get("credential_list"))
	r.models(c, root.get("model_list"), c.credentials)
	r.fallbackTargets(c)
	distinctIDs(r, c.Deployments)
}

// sections warns of what stands at the top level without being read.
func (r *reader) sections(root *value) {
	read := fields{
		"model_list": nil, "router_settings": nil, "litellm_settings": nil, "general_settings": nil,
		"environment_variables": nil, "guardrails": nil, "credential_list": nil, "include": nil,
	}
	for _, m := range root.members {
		if _, ok := read[m.name]; ok {
			continue
		}
		// x-…: where Compose and others keep their anchors.
		if m.v.kind == null || strings.HasPrefix(m.name, "x-") {
			continue
		}
		r.notRead("the top level", knownSections, read)(m, printable(m.name))
	}
	if root.get("model_list") == nil {
		at := value{file: root.file}
		r.warn(&at, "model_list", "there is none, so no model can be called; see https://docs.litellm.ai/docs/proxy/configs")
	}
}
