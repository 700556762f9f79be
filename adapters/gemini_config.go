package adapters

import (
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// configNames are the members of generationConfig that a client may write as fields of the request, each in
// both of the spellings that Google takes.
//
// https://ai.google.dev/api/generate-content#generationconfig
var configNames = setOf(
	"temperature", "top_p", "topP", "top_k", "topK", "stop_sequences", "stopSequences",
	"max_output_tokens", "maxOutputTokens", "candidate_count", "candidateCount",
	"presence_penalty", "presencePenalty", "frequency_penalty", "frequencyPenalty", "seed",
	"response_mime_type", "responseMimeType", "response_schema", "responseSchema",
	"response_json_schema", "responseJsonSchema", "response_format", "responseFormat",
	"response_logprobs", "responseLogprobs", "response_modalities", "responseModalities",
	"image_config", "imageConfig", "thinking_config", "thinkingConfig", "media_resolution", "mediaResolution",
	"speech_config", "speechConfig",
)

func isConfigName(name string) bool { return configNames[name] }

// configWriter collects the members of generationConfig; later ones of a name replace earlier ones.
type configWriter struct{ list []field }

func (w *configWriter) set(name string, v jsondoc.Value) {
	if v == "" {
		return
	}
	for i := range w.list {
		if w.list[i].name == name {
			w.list[i].value = v
			return
		}
	}
	w.list = append(w.list, field{name, v})
}

func (w *configWriter) get(name string) jsondoc.Value {
	for i := range w.list {
		if w.list[i].name == name {
			return w.list[i].value
		}
	}
	return ""
}

// config is generationConfig: what OpenAI's parameters stand for, and the client's own members. resolution is
// the highest that an image asks for.
func (a *geminiCall) config(resolution string) ([]field, *apierror.Error) {
	w := &configWriter{list: make([]field, 0, 16)}
	for i := range a.fields {
		if f := &a.fields[i]; f.value != "" {
			a.mapField(w, f)
		}
	}
	w.set("max_output_tokens", a.limit())
	thinking, err := thinkingConfig(a.call, a.m)
	if err != nil {
		return nil, err
	}
	w.set("thinkingConfig", thinking)
	if err := a.responseFormat(w, a.get("response_format")); err != nil {
		return nil, err
	}
	a.settleConfig(w, resolution)
	for k, v := range a.fromExtra("generationConfig").Members() {
		switch name := k.Text(); name {
		case "maxOutputTokens", "max_output_tokens", "candidateCount", "candidate_count":
			// What a call may cost is read off max_tokens and n.
		default:
			w.set(name, v)
		}
	}
	return w.list, nil
}

// mapField sets what one field of the request stands for, if that can be said of it alone.
func (a *geminiCall) mapField(w *configWriter, f *field) {
	switch f.name {
	case "presence_penalty", "frequency_penalty":
		if a.m.penalizes() {
			w.set(f.name, f.value)
		}
	case "n":
		w.set("candidate_count", f.value)
	case "logprobs":
		w.set("responseLogprobs", f.value)
	case "top_logprobs":
		w.set("logprobs", f.value)
	case "stop":
		if f.value.IsString() {
			w.set("stop_sequences", "["+f.value+"]")
		} else if f.value.IsArray() {
			w.set("stop_sequences", f.value)
		}
	case "modalities":
		w.set("responseModalities", modalities(f.value))
	case "audio":
		w.set("speechConfig", speechConfig(f.value))
	case "response_format", "max_output_tokens", "maxOutputTokens":
	default:
		if isConfigName(f.name) {
			w.set(f.name, f.value)
		}
	}
}

// settleConfig adds what follows from other members.
func (a *geminiCall) settleConfig(w *configWriter, resolution string) {
	if a.get("audio").IsObject() {
		switch m := w.get("responseModalities"); {
		case m == "":
			w.set("responseModalities", `["AUDIO"]`)
		case !containsText(m, "AUDIO"):
			w.set("responseModalities", m[:len(m)-1]+`,"AUDIO"]`)
		}
	}
	if a.m.three && w.get("temperature") == "" {
		w.set("temperature", "1.0") // lower ones make Gemini 3 loop; this is Google's default
	}
	if resolution != "" && a.m.major == 2 {
		w.set("mediaResolution", jsondoc.Value(`"`+resolution+`"`))
	}
}

// limit is the most tokens that the answer may have. OpenAI's names win: a call is paid for by them.
func (a *geminiCall) limit() jsondoc.Value {
	for _, name := range [...]string{"max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens"} {
		if v := a.get(name); v != "" {
			return v
		}
	}
	return ""
}

func containsText(list jsondoc.Value, s string) bool {
	for v := range list.Elements() {
		if v.Is(s) {
			return true
		}
	}
	return false
}

// modalities are OpenAI's as Google's.
func modalities(list jsondoc.Value) jsondoc.Value {
	if !list.IsArray() {
		return ""
	}
	dst := []byte{'['}
	for v := range list.Elements() {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		switch v.Text() {
		case "text":
			dst = append(dst, `"TEXT"`...)
		case "image":
			dst = append(dst, `"IMAGE"`...)
		case "audio":
			dst = append(dst, `"AUDIO"`...)
		case "video":
			dst = append(dst, `"VIDEO"`...)
		default:
			dst = append(dst, `"MODALITY_UNSPECIFIED"`...)
		}
	}
	return jsondoc.Value(append(dst, ']'))
}

// speechConfig is OpenAI's audio parameter as Google's.
//
// https://ai.google.dev/gemini-api/docs/speech-generation
func speechConfig(audio jsondoc.Value) jsondoc.Value {
	if !audio.IsObject() {
		return ""
	}
	dst := []byte{'{'}
	if v := audio.Get("voice"); v.Exists() {
		dst = append(append(dst, `"voiceConfig":{"prebuiltVoiceConfig":{"voiceName":`...), v...)
		dst = append(dst, "}}"...)
	}
	if v := audio.Get("language_code"); v.Exists() {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, `"languageCode":`...), v...)
	}
	return jsondoc.Value(append(dst, '}'))
}

// responseFormat sets the members that response_format stands for.
//
// https://ai.google.dev/gemini-api/docs/structured-output
func (a *geminiCall) responseFormat(w *configWriter, format jsondoc.Value) *apierror.Error {
	schema := jsondoc.Value("")
	switch kind := format.Get("type"); {
	case kind.Is("json_object"):
		w.set("response_mime_type", `"application/json"`)
	case kind.Is("text"):
		w.set("response_mime_type", `"text/plain"`)
	case kind.Is("json_schema"):
		schema = format.At("json_schema", "schema")
	}
	if v := format.Get("response_schema"); v != "" {
		schema = v
	}
	if schema == "" {
		return nil
	}
	w.set("response_mime_type", `"application/json"`)
	if !schema.IsObject() || !next(schema) {
		return nil
	}
	if a.m.jsonSchema() {
		w.set("response_json_schema", withoutStrict(schema))
		return nil
	}
	out, err := a.appendGoogleSchema(nil, schema, "response_format", true)
	w.set("response_schema", jsondoc.Value(out))
	return err
}

// withoutStrict is a schema without OpenAI's strict at its top.
func withoutStrict(schema jsondoc.Value) jsondoc.Value {
	if schema.Get("strict") == "" {
		return schema
	}
	dst := append(make([]byte, 0, len(schema)), '{')
	for k, v := range schema.Members() {
		if k.Is("strict") {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, k...), ':'), v...)
	}
	return jsondoc.Value(append(dst, '}'))
}

func (a *geminiCall) appendConfig(dst []byte, list []field) []byte {
	before := len(dst)
	dst = append(dst, `,"generationConfig":{`...)
	start := len(dst)
	for i := range list {
		if list[i].value == "" {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(apierror.AppendString(dst, list[i].name), ':')
		dst = append(dst, list[i].value...)
	}
	if len(dst) == start {
		return dst[:before]
	}
	return append(dst, '}')
}

// mapsFormat rewrites a JSON answer's members as responseFormat, which is the only way to have one together
// with Google Maps.
func mapsFormat(list []field) []field {
	json, schema := false, jsondoc.Value("")
	for _, f := range list {
		json = json || f.name == "response_mime_type" && f.value.Is("application/json")
	}
	if !json {
		return list
	}
	for i := range list {
		switch list[i].name {
		case "response_json_schema", "response_schema":
			schema = list[i].value
			list[i].value = ""
		case "response_mime_type":
			list[i].value = ""
		}
	}
	format := `{"text":{"mimeType":"APPLICATION_JSON"`
	if schema != "" {
		format += `,"schema":` + string(schema)
	}
	return append(list, field{"responseFormat", jsondoc.Value(format + "}}")})
}
