package config

import (
	"regexp"
	"strings"
)

const envPrefix = "os.environ/"

// elsewhere are references to variables as others write them: shells and Compose files, Python, Helm.
var elsewhere = regexp.MustCompile(`^(?:\$\{([A-Za-z_]\w*)(?::?-[^}]*)?\}|\$([A-Z_][A-Z0-9_]*)|\$\(([A-Za-z_]\w*)\)|` +
	`os\.environ[.:]([A-Za-z_]\w*)|os\.(?:environ\[|getenv\(|environ\.get\()["']?([A-Za-z_]\w*)["']?[\])]|env(?:iron)?/([A-Za-z_]\w*))$`)

// reference is the variable that a text names which is taken literally, or "".
func reference(s string) string {
	for i, name := range elsewhere.FindStringSubmatch(s) {
		if i > 0 && name != "" {
			return name
		}
	}
	return ""
}

// environment is the process's environment with the section environment_variables laid over it.
type environment struct {
	process func(string) (string, bool)
	section map[string]string
}

func (e *environment) lookup(name string) (string, bool) {
	if s, ok := e.section[name]; ok {
		return s, true
	}
	if e.process == nil {
		return "", false
	}
	return e.process(name)
}

// readEnvironment applies the section environment_variables, in its order. A variable whose own
// reference is missing stays unset, with one warning; LiteLLM leaves it unset in silence.
func (r *reader) readEnvironment(v *value) {
	if v == nil {
		return
	}
	const section = "environment_variables"
	if v.kind != mapping {
		r.fault(v, section, "must be a mapping of names to values, not %s", v.kind)
		return
	}
	for _, m := range v.members {
		path := section + "." + printable(m.name)
		if m.v.kind == list || m.v.kind == mapping {
			r.fault(m.v, path, "must be a text, not %s", m.v.kind)
			continue
		}
		if m.v.kind == null {
			continue
		}
		name, isRef := strings.CutPrefix(m.v.text, envPrefix)
		if !isRef {
			r.env.section[m.name] = m.v.text
			continue
		}
		if s, ok := r.env.lookup(name); ok && s != "" {
			r.env.section[m.name] = s
			continue
		}
		r.warn(m.v, path, "the environment variable %s is not set, so %s stays unset", name, m.name)
	}
}

// resolveEnv puts the environment's values in place of every os.environ/X under v. An empty variable
// counts as missing: that is what `export X=` and Compose files leave behind.
func (r *reader) resolveEnv(v *value, depth int) {
	if v == nil || v.env != "" || depth > 4*maxDepth {
		return
	}
	for _, item := range v.items {
		r.resolveEnv(item, depth+1)
	}
	for _, m := range v.members {
		r.resolveEnv(m.v, depth+1)
	}
	if v.kind != text {
		return
	}
	name, isRef := strings.CutPrefix(v.text, envPrefix)
	if !isRef {
		return
	}
	v.env = name
	s, ok := r.env.lookup(name)
	switch {
	case !ok:
		v.missing = "is not set"
	case s == "":
		v.missing = "is empty"
	}
	v.text = s
}
