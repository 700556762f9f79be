package jsondoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

func TestParse(t *testing.T) {
	deep := func(n int) string {
		return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}"
	}
	for _, c := range []struct {
		name, text, reason string
		offset             int
	}{
		{"object", ` {"a":1, "b" : [true,false,null,-0.5e+3,"x"] } `, "", 0},
		{"empty object", "{}", "", 0},
		{"nothing", "", "the body is empty", 0},
		{"white space", " \n\t", "the body is empty", 3},
		{"array", "[]", `unexpected "[", expected a JSON object`, 0},
		{"string", `"a"`, `unexpected "\"", expected a JSON object`, 0},
		{"byte order mark", "\ufeff{}", "unexpected byte 0xef, expected a JSON object", 0},
		{"garbage after", `{} x`, `unexpected "x", expected the end of the JSON`, 3},
		{"two objects", `{}{}`, `unexpected "{", expected the end of the JSON`, 2},
		{"cut", `{"a":`, "the JSON ends too early, expected a value", 5},
		{"cut in a string", `{"a":"b`, "the JSON ends too early, expected the end of a string", 7},
		{"cut after a backslash", `{"a":"b\`, "the JSON ends too early, expected the end of a string", 8},
		{"comma too many", `{"a":1,}`, `unexpected "}", expected a key in double quotes`, 7},
		{"comma missing", `{"a":1 "b":2}`, `unexpected "\"", expected ',' or '}'`, 7},
		{"single quotes", `{'a':1}`, `unexpected "'", expected a key in double quotes`, 1},
		{"no colon", `{"a" 1}`, `unexpected "1", expected ':'`, 5},
		{"array comma", `{"a":[1,]}`, `unexpected "]", expected a value`, 8},
		{"leading zero", `{"a":01}`, `unexpected "1", expected ',' or '}'`, 6},
		{"bare minus", `{"a":-}`, `unexpected "}", expected a digit`, 6},
		{"no fraction", `{"a":1.}`, `unexpected "}", expected a digit`, 7},
		{"no exponent", `{"a":1e+}`, `unexpected "}", expected a digit`, 8},
		{"NaN", `{"a":NaN}`, `unexpected "N", expected a value`, 5},
		{"literal", `{"a":trueish}`, `unexpected "i", expected ',' or '}'`, 9},
		{"wrong literal", `{"a":nil}`, "unknown literal, expected null", 5},
		{"raw newline", "{\"a\":\"1234567890\nx\"}", "control character 0x0a in a string must be escaped", 16},
		{"bad escape", `{"a":"\x41"}`, "invalid escape in a string", 6},
		{"bad \\u", `{"a":"\u12g4"}`, `unexpected "g", expected four hex digits after \u`, 10},
		{"UTF-8", "{\"a\":\"\xff\"}", "invalid UTF-8", 6},
		{"duplicate", `{"model":1,"x":2,"model":3}`, `duplicate key "model"`, 17},
		{"duplicate, escaped", `{"model":1,"mod\u0065l":3}`, `duplicate key "model"`, 11},
		{"duplicate below", `{"a":[{"b":1,"\u0062":2}]}`, `duplicate key "b"`, 13},
		{"the same name elsewhere", `{"a":{"a":1,"b":{"a":2}}}`, "", 0},
		{"duplicate among many", `{"o":{` + many(40) + `,"k39":0}}`, `duplicate key "k39"`, 6 + len(many(40)) + 1},
		{"many", `{"o":{` + many(40) + `}}`, "", 0},
		{"deep", deep(MaxDepth - 1), "", 0},
		{"too deep", deep(MaxDepth), "nested deeper than 128 levels", 5 + MaxDepth - 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			if c.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Reason != c.reason || e.Offset != c.offset {
				t.Errorf("got %v, want %s at byte %d", err, c.reason, c.offset)
			}
		})
	}
}

func many(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"k%d":0`, i))
	}
	return strings.Join(list, ",")
}

func TestRows(t *testing.T) {
	v := Value(` [ {"a":1, "b" : [2,{"x":"}]"}] } ,{}, { } ,3,"s",{"c":{"d":4}},[5] , {"e":"\\"}]`)[1:]
	var got strings.Builder
	v.Rows(func(i int, k, m Value) bool {
		fmt.Fprintf(&got, "%d%s=%s|", i, k, m)
		return true
	})
	want := `0"a"=1|0"b"=[2,{"x":"}]"}]|1={}|2={ }|3=3|4="s"|5"c"={"d":4}|6=[5]|7"e"="\\"|`
	if got.String() != want {
		t.Errorf("got  %s\nwant %s", got.String(), want)
	}
	Value("{}").Rows(func(int, Value, Value) bool { t.Error("an object has no rows"); return false })
	n := 0
	v.Rows(func(int, Value, Value) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("stopped after %d", n)
	}
}

func TestManyMembers(t *testing.T) {
	text := func(n int, last string) []byte {
		var b strings.Builder
		b.WriteByte('{')
		for i := range n {
			fmt.Fprintf(&b, `"k%d":%d,`, i, i)
		}
		return []byte(b.String() + last + "}")
	}
	d, err := Parse(text(1000, `"x":1`))
	if err != nil || d.Get("k999") != "999" || d.Get("none") != "" {
		t.Errorf("%v %q", err, d.Get("k999"))
	}
	if _, err := Parse(text(1000, `"k500":1`)); err == nil || !strings.Contains(err.Error(), `duplicate key "k500"`) {
		t.Errorf("a duplicate among many: %v", err)
	}
	if _, err := Parse(text(MaxMembers, `"x":1`)); err == nil {
		t.Error("no bound on the number of members")
	}
}

func TestLenientKeepsTheLast(t *testing.T) {
	var d Doc
	if err := d.Reset([]byte(`{"a":1,"b":2,"a":3}`), true); err != nil || d.Get("a") != "3" || len(d.Members()) != 2 {
		t.Errorf("%v %v", err, d.Members())
	}
}

func TestValue(t *testing.T) {
	d, err := Parse([]byte(` { "s" : "a\n\"\u00e9\ud83d\ude00\ud800\/", "n" : -12 , "f":1.5, "big":123456789012345678901234567890,
		"list" : [ 1 , "]" , {"x":"}"} , [] ] , "o":{"a":{"b":"c\\"},"b":2}, "t":true,"z":null, "e":[] } `))
	if err != nil {
		t.Fatal(err)
	}
	if s := d.Get("s").Text(); s != "a\n\"é😀\ufffd/" {
		t.Errorf("text %q", s)
	}
	if n, ok := d.Get("n").Int(); n != -12 || !ok {
		t.Error(n, ok)
	}
	if _, ok := d.Get("f").Int(); ok {
		t.Error("1.5 is no integer")
	}
	if _, ok := d.Get("big").Int(); ok {
		t.Error("too big for an integer")
	}
	var list []string
	for e := range d.Get("list").Elements() {
		list = append(list, string(e))
	}
	if got := strings.Join(list, "|"); got != `1|"]"|{"x":"}"}|[]` {
		t.Errorf("elements %s", got)
	}
	if v := d.Get("o").At("a", "b"); v.Text() != `c\` || !v.Is(`c\`) || v.Is("c") {
		t.Errorf("at %q", v)
	}
	if d.Get("z").Exists() || d.Get("nope").Exists() || !d.Get("t").IsBool() || d.Get("e").Len() != 0 || d.Get("list").Len() != 4 {
		t.Error("kinds")
	}
	if d.Get("n").Count() != 0 || d.Get("f").Count() != 1 {
		t.Error("counts")
	}
	for _, huge := range []Value{"9223372036854775807", "1e17", "4611686018427387904"} {
		if n := huge.Count(); n != mostCount {
			t.Errorf("%s counts %d", huge, n)
		}
	}
}

func TestPatch(t *testing.T) {
	text := `{ "a" : 1.0, "b":"x" ,"c": [ 1, 2 ] }`
	for _, c := range []struct {
		name string
		edit func(*Patch)
		want string
	}{
		{"nothing", func(*Patch) {}, `{"a" : 1.0,"b":"x","c": [ 1, 2 ]}`},
		{"set", func(p *Patch) { p.Set("b", "2") }, `{"a" : 1.0,"b":2,"c": [ 1, 2 ]}`},
		{"add", func(p *Patch) { p.Set("d\n", "2") }, `{"a" : 1.0,"b":"x","c": [ 1, 2 ],"d\n":2}`},
		{"delete", func(p *Patch) { p.Delete("a"); p.Delete("none") }, `{"b":"x","c": [ 1, 2 ]}`},
		{"delete all", func(p *Patch) { p.Delete("a"); p.Delete("b"); p.Delete("c") }, `{}`},
		{"rename", func(p *Patch) { p.Rename("b", "z"); p.Rename("none", "y") }, `{"a" : 1.0,"z":"x","c": [ 1, 2 ]}`},
		{"set after delete", func(p *Patch) { p.Delete("a"); p.Set("a", "3") }, `{"a" : 3,"b":"x","c": [ 1, 2 ]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			var p Patch
			c.edit(&p)
			if got := string(p.Append(nil, &d)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if again := string(p.Append(nil, &d)); again != c.want {
				t.Errorf("the second time %s", again)
			}
			if d.Text() != text {
				t.Error("the document changed")
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1}`, `{"a":"\u00e9\n","b":[1,2,{"c":-0.5e-7}]} `, `{"a":"\ud83d\ude00"}`, `{"aaaaaaaaaaaaaaaa":"bbbbbbbbbbbbbbbbbbb\\"}`,
		`{"a":01}`, `[1]`, `{"a":tru}`, "{\"a\":\"\x01\"}", "{\"a\":\"\xff\"}", `{"a":1,"a":2}`, `{"a":"` + strings.Repeat("é\\\"x", 20) + `"}`,
	} {
		f.Add([]byte(s))
	}
	paths, _ := filepath.Glob("../testdata/*/*.txtar")
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			if (file.Name == "in.json" || file.Name == "upstream.json") && len(file.Data) < 2<<10 {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 8<<10 {
			return
		}
		before := bytes.Clone(text)
		d, err := Parse(text)
		if !bytes.Equal(before, text) {
			t.Fatal("the text was modified")
		}
		var want map[string]json.RawMessage
		stdErr := json.Unmarshal(text, &want)
		if err == nil && stdErr != nil {
			t.Fatalf("accepted what encoding/json refuses: %q: %v", text, stdErr)
		}
		if err != nil {
			// encoding/json takes bad UTF-8, duplicates, null for an object, and deeper nesting.
			ours := err.Error()
			if stdErr == nil && want != nil && !strings.Contains(ours, "UTF-8") && !strings.Contains(ours, "duplicate") &&
				!strings.Contains(ours, "nested") && !strings.Contains(ours, "more than") {
				t.Fatalf("refused what encoding/json takes: %q: %v", text, err)
			}
			return
		}
		if len(want) != len(d.Members()) {
			t.Fatalf("%d members, encoding/json has %d: %q", len(d.Members()), len(want), text)
		}
		for name, raw := range want {
			v := d.Get(name)
			if string(v) != string(raw) {
				t.Fatalf("%q: %q, encoding/json has %q", name, v, raw)
			}
			sameValue(t, v)
		}
		var p Patch
		p.Set("new", "1")
		if out := p.Append(nil, &d); !json.Valid(out) {
			t.Fatalf("patched to invalid JSON: %q", out)
		}
	})
}

// sameValue compares the walker with encoding/json.
func sameValue(t *testing.T, v Value) {
	switch {
	case v.IsString():
		var s string
		if err := json.Unmarshal([]byte(v), &s); err != nil || s != v.Text() {
			t.Fatalf("%q is %q, not %q", v, s, v.Text())
		}
	case v.IsArray():
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(v), &list); err != nil {
			t.Fatal(err)
		}
		sameRows(t, v)
		i := 0
		for e := range v.Elements() {
			if i >= len(list) || string(e) != string(list[i]) {
				t.Fatalf("element %d of %q is %q", i, v, e)
			}
			sameValue(t, e)
			i++
		}
		if i != len(list) {
			t.Fatalf("%d elements in %q", i, v)
		}
	case v.IsObject():
		var m map[string]json.RawMessage
		if err := json.Unmarshal([]byte(v), &m); err != nil {
			t.Fatal(err)
		}
		for name, raw := range m {
			if got := v.Get(name); string(got) != string(raw) {
				t.Fatalf("member %q of %q is %q, not %q", name, v, got, raw)
			}
		}
	}
}

func benchBody(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"gpt-4o","stream":true,"temperature":0.7,"messages":[{"role":"system","content":"You are a helpful assistant."}`)
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, said \\\"somebody\\\" to nobody in particular. ", 10)
	for b.Len() < size-100 {
		n := min(len(text), max(0, size-100-b.Len())) / 8 * 8
		for n > 0 && text[n-1] == '\\' {
			n--
		}
		fmt.Fprintf(&b, `,{"role":"user","content":"%s"}`, text[:n])
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func BenchmarkParse(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10, 1 << 20} {
		body := benchBody(size)
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var d Doc
			for b.Loop() {
				if err := d.Reset(body, false); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%dKB/encoding-json-Valid", size>>10), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if !json.Valid(body) {
					b.Fatal("invalid")
				}
			}
		})
	}
}

// sameRows compares the one-pass walk with the other one.
func sameRows(t *testing.T, v Value) {
	var got, want strings.Builder
	v.Rows(func(i int, k, m Value) bool {
		fmt.Fprintf(&got, "%d%s=%s|", i, k, m)
		return true
	})
	i := 0
	for e := range v.Elements() {
		if !e.IsObject() || e.Get("") == "" && strings.Trim(string(e), "{} \n\r\t") == "" {
			fmt.Fprintf(&want, "%d=%s|", i, e)
		} else {
			for k, m := range e.Members() {
				fmt.Fprintf(&want, "%d%s=%s|", i, k, m)
			}
		}
		i++
	}
	if got.String() != want.String() {
		t.Fatalf("rows of %q: %s, want %s", v, got.String(), want.String())
	}
}
