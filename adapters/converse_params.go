package adapters

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// smallestLimit is the least max_tokens that OpenAI's and xAI's models take on Bedrock.
const smallestLimit = 16

// member appends a member of the object that began at start.
func member(dst []byte, start int, name string, v jsondoc.Value) []byte {
	if len(dst) > start {
		dst = append(dst, ',')
	}
	return append(append(apierror.AppendString(dst, name), ':'), v...)
}

// appendInference appends inferenceConfig, which is always there. limit stands in for a max_tokens that the client
// did not give; 0: none.
func (a *converseCall) appendInference(dst []byte, limit int64) []byte {
	dst = append(dst, `,"inferenceConfig":{`...)
	start := len(dst)
	most := a.get("max_completion_tokens")
	if most == "" {
		most = a.get("max_tokens")
	}
	if most == "" {
		most = a.get("maxTokens")
	}
	if n, ok := most.Int(); ok && n < smallestLimit && a.can&wantsRoom != 0 {
		most = jsondoc.Value(strconv.Itoa(smallestLimit))
	}
	if most == "" && limit > 0 {
		most = jsondoc.Value(strconv.FormatInt(limit, 10))
	}
	if most != "" {
		dst = member(dst, start, "maxTokens", most)
	}
	switch stop := a.get("stop"); {
	case stop.IsArray():
		dst = member(dst, start, "stopSequences", stop)
	case stop.IsString() && stop != `""`:
		dst = member(dst, start, "stopSequences", "["+stop+"]")
	case stop == "" && a.get("stopSequences") != "":
		dst = member(dst, start, "stopSequences", a.get("stopSequences"))
	}
	if v := a.get("temperature"); v != "" {
		dst = member(dst, start, "temperature", v)
	}
	if v := jsondoc.Value(firstOf(string(a.get("top_p")), string(a.get("topP")))); v != "" {
		dst = member(dst, start, "topP", v)
	}
	return append(dst, '}')
}

// thinking is what is asked for of a model that thinks, "" for nothing, and the max_tokens that go with a budget
// if the client gave none.
func (a *converseCall) thinking() (thinking jsondoc.Value, limit int64, err *apierror.Error) {
	if a.can&canThink == 0 {
		return "", 0, nil
	}
	c := anthropicCall{call: a.call, m: a.claude}
	thinking, _, err = c.thinking()
	if err != nil {
		return "", 0, err
	}
	budget, given := thinking.Get("budget_tokens").Int()
	if given && budget < budgets["low"] {
		budget = budgets["low"]
		thinking = withBudget(thinking, budget)
	}
	if given && thinking.Get("type").Is("enabled") {
		limit = budget + 4096
	}
	return thinking, limit, nil
}

// withBudget is a thinking object with another budget.
func withBudget(thinking jsondoc.Value, budget int64) jsondoc.Value {
	dst := []byte{'{'}
	for k, v := range thinking.Members() {
		if !k.Is("budget_tokens") {
			dst = member(dst, 1, k.Text(), v)
		}
	}
	return jsondoc.Value(append(member(dst, 1, "budget_tokens", jsondoc.Value(strconv.FormatInt(budget, 10))), '}'))
}

// appendAdditional appends additionalModelRequestFields: what only this vendor's models know, and whatever is not
// OpenAI's and so meant for the model.
func (a *converseCall) appendAdditional(dst []byte, thinking, choice jsondoc.Value) ([]byte, *apierror.Error) {
	before := len(dst)
	dst = append(dst, `,"additionalModelRequestFields":{`...)
	start := len(dst)
	if thinking != "" {
		dst = member(dst, start, "thinking", thinking)
	}
	var err *apierror.Error
	if dst, err = a.appendEffort(dst, start); err != nil {
		return nil, err
	}
	if k := jsondoc.Value(firstOf(string(a.get("top_k")), string(a.get("topK")))); k != "" {
		switch {
		case a.m.is("anthropic."):
			dst = member(dst, start, "top_k", k)
		case a.m.is("amazon.nova"):
			dst = member(dst, start, "inferenceConfig", `{"topK":`+k+`}`)
		}
	}
	if p := a.get("parallel_tool_calls"); p.IsBool() && a.m.longCache() { // the same models know both
		kind := `"type":"auto",`
		if choice != "" {
			kind = "" // toolChoice tells it
		}
		dst = member(dst, start, "tool_choice", jsondoc.Value(`{`+kind+`"disable_parallel_tool_use":`+strconv.FormatBool(p == "false")+`}`))
	}
	computers, betas := a.computerTools()
	if len(computers) > 0 {
		dst = member(dst, start, "tools", jsondoc.Value("["+string(computers)+"]"))
	}
	if a.get("output_config").Get("effort") != "" && !a.claude.adaptive() {
		betas = append(betas, "effort-2025-11-24")
	}
	if betas = append(a.headerBetas(), betas...); len(betas) > 0 && a.m.is("anthropic.") {
		list, _ := json.Marshal(betas)
		dst = member(dst, start, "anthropic_beta", jsondoc.Value(list))
	}
	for i := range a.fields {
		if f := &a.fields[i]; f.value != "" && a.isAdditional(f.name) {
			dst = member(dst, start, f.name, f.value)
		}
	}
	if len(dst) == start {
		return dst[:before], nil
	}
	dst = append(dst, '}')
	if thinking != "" {
		// Converse's usage does not tell how much of the output was thinking.
		dst = append(dst, `,"additionalModelResponseFieldPaths":["/usage/output_tokens_details"]`...)
	}
	return dst, nil
}

// converseOwn are the fields with a place of their own in the request.
var converseOwn = setOf("model", "messages", "stream", "stream_options", "user", "model_id", "maxTokens", "stopSequences",
	"topP", "topK", "top_k", "guardrailConfig", "performanceConfig", "serviceTier", "requestMetadata", "outputConfig", "output_config",
	"thinking", "system", "cache_control_injection_points", "client_metadata")

func (a *converseCall) isAdditional(name string) bool {
	return !converseOwn[name] && (!slices.Contains(openAIParams, name) || a.allows(name) && !converseTakes(a.call, name, &a.m, a.can, a.claude))
}

// appendEffort appends reasoning_effort in the model's words.
func (a *converseCall) appendEffort(dst []byte, start int) ([]byte, *apierror.Error) {
	v := a.get("reasoning_effort")
	if v.IsObject() {
		v = v.Get("effort")
	}
	switch {
	case v == "":
	case a.can&canEffort != 0:
		return member(dst, start, "reasoning_effort", v), nil
	case a.can&canGPTEffort != 0:
		return member(dst, start, "reasoning", `{"effort":`+v+`}`), nil
	case a.can&canNovaEffort != 0:
		if !slices.Contains([]string{"low", "medium", "high"}, v.Text()) {
			return nil, refused("reasoning_effort", "'reasoning_effort' must be one of low, medium and high for model %s.", a.model)
		}
		return member(dst, start, "reasoningConfig", `{"type":"enabled","maxReasoningEffort":`+v+`}`), nil
	}
	if a.m.is("anthropic.") || a.m.arn {
		dst = a.appendOutputEffort(dst, start)
	}
	return dst, nil
}

// appendOutputEffort appends output_config, with the effort of Claude models that have degrees of it.
func (a *converseCall) appendOutputEffort(dst []byte, start int) []byte {
	c := anthropicCall{call: a.call, m: a.claude}
	config := c.appendOutputConfig(nil)
	if len(config) == 0 {
		return dst
	}
	value := jsondoc.Value(strings.TrimPrefix(string(config), `,"output_config":`))
	out := []byte{'{'}
	for k, v := range value.Members() {
		switch {
		case k.Is("format"): // has its own place
			continue
		case k.Is("effort") && (v.Is("xhigh") || a.get("reasoning_effort").Is("xhigh")) && !a.claude.efforts("xhigh"):
			v = `"max"` // the most that these models have
		}
		out = member(out, 1, k.Text(), v)
	}
	if len(out) == 1 {
		return dst
	}
	return member(dst, start, "output_config", jsondoc.Value(append(out, '}')))
}

// headerBetas are the beta features that the deployment's anthropic-beta names: Converse takes them in the body.
func (a *converseCall) headerBetas() (list []string) {
	for _, h := range a.headers() {
		if h.Name != "anthropic-beta" {
			continue
		}
		for _, b := range strings.Split(h.Value, ",") {
			if b = strings.TrimSpace(b); b != "" {
				list = append(list, b)
			}
		}
	}
	return list
}

// appendConfigs appends what stands beside the model's own parameters.
func (a *converseCall) appendConfigs(dst []byte) []byte {
	for _, name := range [...]string{"guardrailConfig", "performanceConfig", "requestMetadata"} {
		if v := a.get(name); v.IsObject() {
			dst = append(append(append(append(dst, `,"`...), name...), `":`...), v...)
		}
	}
	tier := a.get("serviceTier")
	switch t := a.get("service_tier"); {
	case t.Is("auto"):
		tier = `{"type":"default"}`
	case t.Is("default"), t.Is("flex"), t.Is("priority"):
		tier = `{"type":` + t + `}`
	}
	if tier.IsObject() {
		dst = append(append(dst, `,"serviceTier":`...), tier...)
	}
	if v := a.get("outputConfig"); v.IsObject() && (a.schema == "" || a.byTool) {
		dst = append(append(dst, `,"outputConfig":`...), v...)
	}
	return dst
}

// appendOutputSchema appends the JSON schema for models that follow one natively, as a text with closed objects.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
func (a *converseCall) appendOutputSchema(dst []byte) []byte {
	dst = append(dst, `,"outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":`...)
	dst = apierror.AppendString(dst, string(appendClosed(nil, a.schema)))
	format := a.get("response_format").Get("json_schema")
	for _, name := range [...]string{"name", "description"} {
		if v := format.Get(name); v.IsString() {
			dst = append(append(append(append(dst, `,"`...), name...), `":`...), v...)
		}
	}
	return append(dst, `}}}}`...)
}

// appendClosed appends a schema whose objects take no members that they do not name.
func appendClosed(dst []byte, schema jsondoc.Value) []byte {
	if !schema.IsObject() {
		return append(dst, schema...)
	}
	dst = append(dst, '{')
	start := len(dst)
	closed := !schema.Get("type").Is("object")
	for k, v := range schema.Members() {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(dst, k...), ':')
		switch name := k.Text(); {
		case name == "additionalProperties":
			closed = true
			dst = append(dst, v...)
		case name == "items":
			dst = appendClosed(dst, v)
		case v.IsObject() && (name == "properties" || name == "$defs" || name == "definitions"):
			dst = appendMembers(dst, v, func(dst []byte, k, m jsondoc.Value) []byte { return appendClosed(appendKey(dst, k), m) })
		case v.IsArray() && (name == "anyOf" || name == "allOf" || name == "oneOf"):
			dst = appendElements(dst, v, appendClosed)
		default:
			dst = append(dst, v...)
		}
	}
	if !closed {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, `"additionalProperties":false`...)
	}
	return append(dst, '}')
}
