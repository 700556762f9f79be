package config

import (
	"fmt"
	"path/filepath"
)

// maxIncludes bounds the number of files that one configuration is made of.
const maxIncludes = 100

// source reads files and merges them as LiteLLM's include: does: lists are extended, everything else is
// replaced by the included file, a file next to the one that names it comes before one next to the root.
//
// https://docs.litellm.ai/docs/proxy/config_management
type source struct {
	read   func(path string) ([]byte, error)
	exists func(path string) bool
	r      *reader
	files  []string // all that were read
}

type pending struct {
	path  string
	chain []string // the files that led here, the root first
	at    *value   // the include entry
}

// load reads path and all that it includes, and gives the merged mapping, or nil after a fault.
func (s *source) load(path string) *value {
	root := s.file(path, nil)
	if root == nil {
		return nil
	}
	loaded := map[string]bool{clean(path): true}
	queue := s.entries(root, path, path, []string{clean(path)})
	root = without(root)
	for n := 0; len(queue) > 0; n++ {
		next := queue[0]
		queue = queue[1:]
		for _, ancestor := range next.chain {
			if ancestor == clean(next.path) {
				s.r.fault(next.at, "include", "%s includes itself, by way of %s; remove this entry", next.path, next.at.file)
			}
		}
		if loaded[clean(next.path)] {
			continue
		}
		if n >= maxIncludes {
			s.r.fault(next.at, "include", "more than %d files are included", maxIncludes)
			return nil
		}
		loaded[clean(next.path)] = true
		included := s.file(next.path, next.at)
		if included == nil {
			continue
		}
		queue = append(queue, s.entries(included, next.path, path, append(next.chain[:len(next.chain):len(next.chain)], clean(next.path)))...)
		s.merge(root, without(included))
	}
	return root
}

func (s *source) file(path string, at *value) *value {
	data, err := s.read(path)
	if err != nil {
		if at != nil {
			s.r.fault(at, "include", "%s; include paths are relative to the file that names them", err)
		} else {
			s.r.faults = append(s.r.faults, Fault{File: path, Message: fmt.Sprintf("%s; give the path of your config.yaml with --config", err)})
		}
		return nil
	}
	s.files = append(s.files, path)
	v, faults := parse(path, data)
	s.r.faults = append(s.r.faults, faults...)
	if len(faults) > 0 {
		return nil
	}
	return v
}

// entries are the files that v, read from path, includes.
func (s *source) entries(v *value, path, root string, chain []string) []pending {
	include := v.get("include")
	if include == nil {
		return nil
	}
	if include.kind != list {
		s.r.fault(include, "include", "must be a list of file paths, not %s", include.kind)
		return nil
	}
	var out []pending
	for i, item := range include.items {
		field := fmt.Sprintf("include[%d]", i)
		if item.kind != text || item.text == "" {
			s.r.fault(item, field, "must be a file path, not %s", item.kind)
			continue
		}
		beside, atRoot := resolve(path, item.text), resolve(root, item.text)
		if clean(beside) != clean(atRoot) && s.exists(atRoot) {
			if s.exists(beside) {
				s.r.warn(item, field, "matches both %s and %s; the first is read", beside, atRoot)
			} else {
				s.r.warn(item, field, "was not found beside %s, so %s is read; move it there", path, atRoot)
				beside = atRoot
			}
		}
		out = append(out, pending{path: beside, chain: chain, at: item})
	}
	return out
}

func resolve(from, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(from), name)
}

func clean(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}

func without(v *value) *value {
	out := *v
	out.members = nil
	for _, m := range v.members {
		if m.name != "include" {
			out.members = append(out.members, m)
		}
	}
	return &out
}

// merge puts included into root, member by member.
func (s *source) merge(root, included *value) {
next:
	for _, in := range included.members {
		for i := range root.members {
			have := &root.members[i]
			if have.name != in.name {
				continue
			}
			if have.v.kind == list && in.v.kind == list {
				joined := *have.v
				joined.items = append(append([]*value(nil), have.v.items...), in.v.items...)
				have.v = &joined
				continue next
			}
			if have.v.kind != null {
				s.r.warn(in.v, in.name, "replaces the whole %s of %s:%d, because only lists are joined by include:", in.name, have.v.file, have.line)
			}
			*have = in
			continue next
		}
		root.members = append(root.members, in)
	}
}
