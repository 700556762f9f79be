package admin

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// litellmFields are the requests, answers and tables of LiteLLM, derived from its own models by
// tools/admin_fields.py: requests are read by them and answers have their columns.
//
//go:embed litellm.json
var litellmFields []byte

type field struct {
	Types    []string `json:"types"` // JSON's, and "any"
	Required bool     `json:"required"`
	Enum     []any    `json:"enum"`
}

type column struct {
	Type    string  `json:"type"` // Prisma's: String, Int, BigInt, Float, Boolean, DateTime, Json, and lists of them: String[]
	Default *string `json:"default"`
}

var litellm = func() (l struct {
	Requests map[string]map[string]field  `json:"requests"`
	Answers  map[string][]string          `json:"answers"`
	Columns  map[string]map[string]column `json:"columns"`
	Metadata []string                     `json:"metadata"`
	Premium  []string                     `json:"metadata_premium"`
}) {
	if err := json.Unmarshal(litellmFields, &l); err != nil {
		panic("admin: litellm.json: " + err.Error()) // a broken build, met by every test
	}
	return l
}()

// inMetadata are fields of requests that are kept in the object's metadata, as LiteLLM keeps them.
var inMetadata = slices.Concat(litellm.Metadata, litellm.Premium)

// document is an object as it is stored and sent: LiteLLM's names; numbers are json.Number.
type document = map[string]any

// invalid is FastAPI's answer to a body that does not fit the model.
type invalid struct {
	Type string `json:"type"`
	Loc  []any  `json:"loc"`
	Msg  string `json:"msg"`
}

func invalidBody(typ, msg string, loc ...any) *refusal {
	return &refusal{status: http.StatusUnprocessableEntity, plain: true, detail: []invalid{{typ, append([]any{"body"}, loc...), msg}}}
}

// readBody reads a request's JSON by one of LiteLLM's models. Fields that it does not have are left out.
func readBody(r *http.Request, model string) (document, *refusal) {
	raw, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &refusal{status: http.StatusRequestEntityTooLarge, detail: fmt.Sprintf("the body is larger than the %d bytes that are taken", tooLarge.Limit)}
	}
	if err != nil {
		return nil, invalidBody("missing", "Field required")
	}
	all, known := document{}, litellm.Requests[model]
	if len(bytes.TrimSpace(raw)) > 0 {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if err := d.Decode(&all); err != nil {
			if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
				return nil, invalidBody("model_attributes_type", "Input should be a valid dictionary or object to extract fields from")
			}
			return nil, invalidBody("json_invalid", "JSON decode error", d.InputOffset())
		}
		if d.More() {
			return nil, invalidBody("json_invalid", "JSON decode error", d.InputOffset())
		}
	}
	body := document{}
	for name, f := range known {
		v, given := all[name]
		if !given {
			if f.Required {
				return nil, invalidBody("missing", "Field required", name)
			}
			continue
		}
		fitted, fault := f.fit(v)
		if fault != nil {
			return nil, invalidBody(fault[0], fault[1], name)
		}
		body[name] = fitted
	}
	return body, nil
}

// fit makes a value one of the field's types, as pydantic does where nothing is lost: numbers may be texts.
func (f field) fit(v any) (any, []string) {
	has := func(t string) bool { return slices.Contains(f.Types, t) || slices.Contains(f.Types, "any") }
	switch v := v.(type) {
	case nil:
		if has("null") {
			return nil, nil
		}
	case string:
		if has("string") {
			return v, f.chosen(v)
		}
		if n, err := strconv.ParseFloat(v, 64); err == nil && (has("number") || has("integer") && n == math.Trunc(n)) && !math.IsInf(n, 0) && !math.IsNaN(n) {
			return json.Number(strconv.FormatFloat(n, 'f', -1, 64)), nil
		}
		if v == "" && has("null") && has("number") { // LiteLLM's dashboard clears a budget so
			return nil, nil
		}
		if b, err := strconv.ParseBool(strings.ToLower(v)); err == nil && has("boolean") {
			return b, nil
		}
	case bool:
		if has("boolean") {
			return v, nil
		}
	case json.Number:
		n, err := v.Float64()
		if err == nil && (has("number") || has("integer") && n == math.Trunc(n)) {
			return v, nil
		}
	case []any:
		if has("array") {
			return v, nil
		}
	case map[string]any:
		if has("object") {
			return v, nil
		}
	}
	for _, t := range [...][3]string{
		{"integer", "int_type", "Input should be a valid integer"}, {"number", "float_type", "Input should be a valid number"},
		{"boolean", "bool_type", "Input should be a valid boolean"}, {"array", "list_type", "Input should be a valid list"},
		{"object", "dict_type", "Input should be a valid dictionary"}, {"string", "string_type", "Input should be a valid string"},
	} {
		if has(t[0]) {
			return nil, t[1:]
		}
	}
	return v, nil
}

// chosen is the fault of a text that is none of an enumeration.
func (f field) chosen(v string) []string {
	if len(f.Enum) == 0 || slices.ContainsFunc(f.Enum, func(e any) bool { return e == v }) {
		return nil
	}
	names := make([]string, len(f.Enum))
	for i, e := range f.Enum {
		names[i] = fmt.Sprintf("'%v'", e)
	}
	list := strings.Join(names, ", ")
	if n := len(names); n > 1 {
		list = strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
	return []string{"enum", "Input should be " + list}
}

// row is a document with every column of its table, those that were never set at their default.
func row(kind string, d document) document {
	columns := litellm.Columns[kind]
	out := make(document, len(columns)+2)
	for name, c := range columns {
		if v, ok := d[name]; ok && v != nil {
			out[name] = v
			continue
		}
		out[name] = c.empty()
	}
	return out
}

func (c column) empty() any {
	switch {
	case strings.HasSuffix(c.Type, "[]"):
		return []any{}
	case c.Default == nil:
		return nil
	case c.Type == "Json":
		return document{}
	case c.Type == "Boolean":
		return *c.Default == "true"
	case c.Type == "Float", c.Type == "Int":
		return json.Number(*c.Default)
	}
	return nil
}

// only is the part of a document that an answer has, in LiteLLM's model of it.
func only(d document, model string) document {
	names := litellm.Answers[model]
	out := make(document, len(names))
	for _, name := range names {
		out[name] = d[name]
	}
	return out
}

func text(d document, name string) string {
	s, _ := d[name].(string)
	return s
}

func given(d document, name string) bool {
	_, ok := d[name]
	return ok
}

func truth(d document, name string) bool {
	b, _ := d[name].(bool)
	return b
}

// number reads a number; false: there is none.
func number(d document, name string) (float64, bool) {
	switch v := d[name].(type) {
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	case float64:
		return v, true
	}
	return 0, false
}

// texts are the texts of a list.
func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// object is a member that is one; never nil.
func object(d document, name string) document {
	if o, ok := d[name].(document); ok {
		return o
	}
	return document{}
}
