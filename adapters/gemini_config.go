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

// config is generationConfig: what OpenAI's parameters stand for, and the client's own members. resolution is
// the highest that an image asks for.
func (a *geminiCall) config(resolution string) ([]field, *apierror.Error) {
	list := make([]field, 0, 16)
	set := func(name string, v jsondoc.Value) {
		if v == "" {
			return
		}
		for i := range list {
			if list[i].name == name {
				list[i].value = v
				return
			}
		}
		list = append(list, field{name, v})
	}
	var format jsondoc.Value
	for i := range a.fields {
		f := &a.fields[i]
		switch f.name {
		case "temperature", "top_p", "top_k", "seed":
			set(f.name, f.value)
		case "presence_penalty", "frequency_penalty":
			if a.m.penalizes() {
				set(f.name, f.value)
			}
		case "n":
			set("candidate_count", f.value)
		case "logprobs":
			set("responseLogprobs", f.value)
		case "top_logprobs":
			set("logprobs", f.value)
		case "stop":
			if f.value.IsString() {
				set("stop_sequences", "["+f.value+"]")
			} else if f.value.IsArray() {
				set("stop_sequences", f.value)
			}
		case "response_format":
			format = f.value
		case "modalities":
			set("responseModalities", modalities(f.value))
		case "audio":
			set("speechConfig", speechConfig(f.value))
		case "max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "thinking", "reasoning_effort":
		default:
			if f.value != "" && isConfigName(f.name) {
				set(f.name, f.value)
			}
		}
	}
	set("max_output_tokens", a.limit())
	thinking, err := thinkingConfig(a.call, a.m)
	if err != nil {
		return nil, err
	}
	set("thinkingConfig", thinking)
	if err := a.responseFormat(format, set); err != nil {
		return nil, err
	}
	a.settleConfig(list, set, resolution)
	for k, v := range a.fromExtra("generationConfig").Members() {
		switch name := k.Text(); name {
		case "maxOutputTokens", "max_output_tokens", "candidateCount", "candidate_count":
			// What a call may cost is read off max_tokens and n.
		default:
			set(name, v)
		}
	}
	return list, nil
}

// settleConfig adds what follows from other members.
func (a *geminiCall) settleConfig(list []field, set func(string, jsondoc.Value), resolution string) {
	find := func(name string) jsondoc.Value {
		for i := range list {
			if list[i].name == name {
				return list[i].value
			}
		}
		return ""
	}
	if a.get("audio").IsObject() {
		switch m := find("responseModalities"); {
		case m == "":
			set("responseModalities", `["AUDIO"]`)
		case !containsText(m, "AUDIO"):
			set("responseModalities", m[:len(m)-1]+`,"AUDIO"]`)
		}
	}
	if a.m.three && find("temperature") == "" {
		set("temperature", "1.0") // lower ones make Gemini 3 loop; this is Google's default
	}
	if resolution != "" && a.m.major == 2 {
		set("mediaResolution", jsondoc.Value(`"`+resolution+`"`))
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
func (a *geminiCall) responseFormat(format jsondoc.Value, set func(string, jsondoc.Value)) *apierror.Error {
	schema := jsondoc.Value("")
	switch kind := format.Get("type"); {
	case kind.Is("json_object"):
		set("response_mime_type", `"application/json"`)
	case kind.Is("text"):
		set("response_mime_type", `"text/plain"`)
	case kind.Is("json_schema"):
		schema = format.At("json_schema", "schema")
	}
	if v := format.Get("response_schema"); v != "" {
		schema = v
	}
	if schema == "" {
		return nil
	}
	set("response_mime_type", `"application/json"`)
	if !schema.IsObject() || !next(schema) {
		return nil
	}
	if a.m.jsonSchema() {
		set("response_json_schema", withoutStrict(schema))
		return nil
	}
	out, err := appendGoogleSchema(nil, schema, "response_format", true)
	set("response_schema", jsondoc.Value(out))
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
