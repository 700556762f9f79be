package sdks

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

func eachCase(t *testing.T, pattern string, f func(t *testing.T, files map[string]string)) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no file matches %s", pattern)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for _, file := range a.Files {
			files[file.Name] = string(file.Data)
		}
		t.Run(strings.TrimSuffix(strings.TrimPrefix(path, "../testdata/"), ".txtar"), func(t *testing.T) { f(t, files) })
	}
}

func streamOf(body string) *http.Response {
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body: io.NopCloser(strings.NewReader(body)),
	}
}

// requestOf is the path and the body of what is sent to the provider; "" if the call is refused.
func requestOf(files map[string]string) (path, body string) {
	head, body, ok := strings.Cut(files["want.request"], "\n\n")
	if !ok || strings.HasPrefix(head, "refused") {
		return "", ""
	}
	_, path, _ = strings.Cut(head[:strings.IndexByte(head, '\n')], " ")
	return path, body
}

// roundTrip reads a text into an SDK's type and writes it again: what is lost, the SDK does not know. Members at these
// paths are not compared; the reason stands where they are named.
func roundTrip[T any](t *testing.T, text string, but ...string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%T: %v\n%s", v, err, text)
	}
	again, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("%T: %v\n%s", v, err, text)
	}
	var sent, read any
	if err := json.Unmarshal([]byte(text), &sent); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(again, &read); err != nil {
		t.Fatal(err)
	}
	for _, l := range lost("", sent, read) {
		if !slices.ContainsFunc(but, func(end string) bool { return strings.HasSuffix(l.at, end) }) {
			t.Errorf("%T: %s: %s", v, l.at, l.what)
		}
	}
	return v
}

// loss is a value that an SDK does not read, or not as it stands.
type loss struct{ at, what string }

// lost lists what of sent is not in read.
func lost(at string, sent, read any) (list []loss) {
	switch sent := sent.(type) {
	case map[string]any:
		object, ok := read.(map[string]any)
		if !ok {
			return []loss{{at, fmt.Sprintf("is read as %v", read)}}
		}
		for name, v := range sent {
			r, ok := object[name]
			if !ok && !empty(v) {
				list = append(list, loss{at + "." + name, fmt.Sprintf("%v is lost", v)})
			} else if ok {
				list = append(list, lost(at+"."+name, v, r)...)
			}
		}
	case []any:
		array, ok := read.([]any)
		if !ok || len(array) != len(sent) {
			return []loss{{at, fmt.Sprintf("is read as %v", read)}}
		}
		for i, v := range sent {
			list = append(list, lost(at+"[]", v, array[i])...)
		}
	default:
		if array, ok := read.([]any); ok && len(array) == 1 {
			read = array[0].(map[string]any)["text"] // a text and a list of one are the same to some
		}
		if sent != read {
			list = append(list, loss{at, fmt.Sprintf("%v is read as %v", sent, read)})
		}
	}
	return list
}

// empty tells whether an SDK may leave a value out.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
