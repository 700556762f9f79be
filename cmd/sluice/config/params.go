package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// fieldType is what a request field holds where that is simple: a text from the environment is turned
// into it, because "100" is not a max_tokens.
type fieldType uint8

const (
	anyField fieldType = iota // not a known request field
	numberField
	boolField
	otherField
)

// requestFields are OpenAI's: https://platform.openai.com/docs/api-reference/chat/create.
var requestFields = map[string]fieldType{
	"temperature": numberField, "top_p": numberField, "n": numberField, "max_tokens": numberField,
	"max_completion_tokens": numberField, "presence_penalty": numberField, "frequency_penalty": numberField,
	"seed": numberField, "top_logprobs": numberField, "top_k": numberField, "dimensions": numberField,
	"stream": boolField, "parallel_tool_calls": boolField, "logprobs": boolField, "store": boolField,
	"functions": otherField, "function_call": otherField, "stream_options": otherField, "stop": otherField,
	"modalities": otherField, "prediction": otherField, "audio": otherField, "logit_bias": otherField,
	"user": otherField, "response_format": otherField, "tools": otherField, "tool_choice": otherField,
	"reasoning_effort": otherField, "verbosity": otherField, "thinking": otherField,
	"web_search_options": otherField, "service_tier": otherField, "safety_identifier": otherField,
	"prompt_cache_key": otherField, "prompt_cache_retention": otherField, "messages": otherField,
	"encoding_format": otherField, "input_type": otherField, "repetition_penalty": numberField, "min_p": numberField,
}

// params reads litellm_params into d.
func (r *reader) params(d *Deployment, organizations *[]string, v *value, path string) {
	fs := r.paramFields(d, organizations)
	candidates := append(append(sortedNames(knownParams), sortedNames(fs)...), sortedNames(requestFields)...)
	for name, read := range fs {
		// What a deployment cannot do without keeps it out of service when its variable is missing.
		fs[name] = func(v *value, at string) {
			if v.missing == "" {
				read(v, at)
			} else if essential[name] {
				d.unusable(v, name)
			} else {
				r.missing(v, at)
			}
		}
	}
	r.mapping(v, path, fs, func(m member, at string) { r.otherParam(d, m, at, candidates) }, true)
	if v.get("model") == nil {
		r.fault(v, path+".model", "is missing; write provider/name, such as openai/gpt-4o")
	}
	if d.NumRetries == nil {
		if mr := v.get("max_retries"); mr != nil && mr.missing == "" {
			n := r.count(mr, path+".max_retries")
			d.NumRetries = &n
		}
	}
}

// essential are the fields whose loss would send a call elsewhere, or without its credentials.
var essential = map[string]bool{
	"model": true, "api_key": true, "api_base": true, "base_url": true, "api_version": true,
	"organization": true, "custom_llm_provider": true, "extra_headers": true, "headers": true,
}

func (d *Deployment) unusable(v *value, field string) {
	why := v.env + " " + v.missing
	if field != "api_key" {
		why = fmt.Sprintf("%s, its %s, %s", v.env, field, v.missing)
	}
	switch {
	case d.Unusable == "":
		d.Unusable = why
	case !strings.Contains(d.Unusable, why):
		d.Unusable += "; " + why
	}
}

func (r *reader) paramFields(d *Deployment, organizations *[]string) fields {
	base := func(v *value, path string) { r.apiBases(d, v, path) }
	headers := func(v *value, path string) { r.headers(d, v, path) }
	return fields{
		"model":               func(v *value, path string) { d.Model = r.modelName(v, path) },
		"base_model":          set(r.str, &d.Info.BaseModel), // model_info's wins
		"custom_llm_provider": set(r.str, &d.Provider),
		"api_key": func(v *value, path string) {
			d.APIKey = r.secret(v, path)
			d.APIKeySet = d.APIKey != ""
		},
		"api_base": base, "base_url": base,
		"health_check_path":       func(v *value, path string) { d.HealthPath = r.healthPath(v, path) },
		"api_version":             set(r.str, &d.APIVersion),
		"organization":            set(r.strs, organizations),
		"rpm":                     set(r.count, &d.RPM),
		"tpm":                     set(r.count, &d.TPM),
		"weight":                  setPtr(r.number, &d.Weight),
		"order":                   set(r.count, &d.Order),
		"max_parallel_requests":   set(r.count, &d.MaxParallelRequests),
		"timeout":                 set(r.duration, &d.Timeout),
		"stream_timeout":          set(r.duration, &d.StreamTimeout),
		"num_retries":             setPtr(r.count, &d.NumRetries),
		"max_retries":             func(*value, string) {}, // read where num_retries is known to be absent
		"cooldown_time":           setPtr(r.duration, &d.Cooldown),
		"allowed_fails":           setPtr(r.count, &d.AllowedFails),
		"tags":                    set(r.strs, &d.Tags),
		"extra_headers":           headers,
		"headers":                 headers,
		"extra_body":              set(r.object, &d.ExtraBody),
		"drop_params":             set(r.bool, &d.DropParams),
		"additional_drop_params":  set(r.strs, &d.AdditionalDropParams),
		"litellm_credential_name": func(*value, string) {}, // already laid under these params
	}
}

// otherParam reads what paramFields does not name: prices, providers' own settings, request fields.
func (r *reader) otherParam(d *Deployment, m member, path string, candidates []string) {
	_, isPrice := knownPrices[m.name]
	note, isKnown := knownParams[m.name]
	at := value{file: m.v.file, line: m.line}
	switch {
	case m.v.kind == null:
	case isPrice && (m.v.kind == list || m.v.kind == mapping):
		r.warn(&at, path, "tables of prices are known to LiteLLM, not built yet: has no effect")
	case isPrice && m.v.missing == "":
		if d.Prices == nil {
			d.Prices = map[string]float64{}
		}
		d.Prices[m.name] = r.number(m.v, path)
	case providerParam(m.name):
		r.providerValue(d, m, path)
	case isKnown:
		if note == "" {
			note = "it is known to LiteLLM, not built yet"
		}
		if note != quiet {
			r.warn(&at, path, "has no effect: %s", note)
		}
	case m.v.missing != "":
		r.missing(m.v, path)
	default:
		if requestFields[m.name] == anyField {
			if n := Near(m.name, candidates); n != "" && len(m.name) > 3 {
				r.warn(&at, path, "is not a known setting, so it is sent to the provider as a request field; did you mean %s?", n)
			}
		}
		if d.Defaults == nil {
			d.Defaults = map[string]json.RawMessage{}
		}
		d.Defaults[m.name] = r.requestField(m.v, path, requestFields[m.name])
	}
}

func (r *reader) providerValue(d *Deployment, m member, path string) {
	if m.v.missing != "" {
		if m.name == "aws_session_token" { // only temporary credentials have one
			r.missing(m.v, path)
		} else {
			d.unusable(m.v, m.name)
		}
		return
	}
	if d.ProviderParams == nil {
		d.ProviderParams = map[string]Secret{}
	}
	if m.v.kind == list || m.v.kind == mapping {
		d.ProviderParams[m.name] = Secret(r.json(m.v, path))
		return
	}
	r.literal(m.v, path)
	d.ProviderParams[m.name] = Secret(m.v.text)
}

// requestField is v as JSON, of the type that the field has.
func (r *reader) requestField(v *value, path string, t fieldType) json.RawMessage {
	switch {
	case t == numberField && v.kind == text:
		if _, ok := parseFloat(v.text); ok {
			return appendNumber(nil, strings.TrimSpace(v.text))
		}
	case t == boolField && v.kind == text:
		if b, ok := truth[strings.ToLower(v.text)]; ok {
			return json.RawMessage(fmt.Sprint(b))
		}
	case t == otherField && v.kind == boolean && (v.text != "true" && v.text != "false"):
		return apierror.AppendString(nil, v.text) // reasoning_effort: off is a text
	}
	return r.json(v, path)
}

func (r *reader) modelName(v *value, path string) string {
	s := r.str(v, path)
	provider, name, prefixed := strings.Cut(s, "/")
	switch {
	case s == "":
		r.fault(v, path, "is empty; write provider/name, such as openai/gpt-4o")
	case prefixed && (provider == "" || name == ""):
		r.fault(v, path, "must be provider/name, such as openai/gpt-4o, not %s", r.describe(v))
	case strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		r.fault(v, path, "must not contain spaces")
	}
	return s
}

// apiBase checks a base URL. Its text stays out of messages: it may carry a password.
func (r *reader) apiBase(v *value, path string) string {
	s := strings.TrimSpace(r.str(v, path))
	u, err := url.Parse(s)
	switch {
	case err != nil:
		r.fault(v, path, "is not a valid URL; write it like https://api.example.com/v1")
	case u.Scheme == "unix" && u.Path != "" && u.Host == "":
	case u.Scheme != "http" && u.Scheme != "https":
		r.fault(v, path, "must start with http:// or https:// (or unix:/// and the path of a socket)")
	case u.Hostname() == "":
		r.fault(v, path, "names no host; write it like https://api.example.com/v1")
	}
	return s
}

// headers reads extra_headers. Values may not break out of their line.
func (r *reader) headers(d *Deployment, v *value, path string) {
	if v.kind != mapping {
		r.fault(v, path, "must be a mapping of header names to texts, not %s", v.kind)
		return
	}
	if d.ExtraHeaders == nil {
		d.ExtraHeaders = map[string]Secret{}
	}
	for _, m := range v.members {
		at := path + "." + printable(m.name)
		switch {
		case m.v.kind == null:
		case m.v.missing != "":
			d.unusable(m.v, "extra_headers")
		case !headerName(m.name):
			r.fault(m.v, at, "is not a valid header name")
		case strings.ContainsAny(m.v.text, "\r\n\x00"):
			r.fault(m.v, at, "the value of a header must be a single line")
		default:
			d.ExtraHeaders[m.name] = Secret(r.str(m.v, at))
		}
	}
}

// headerName tells whether s is a token of RFC 9110, section 5.6.2.
func headerName(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
