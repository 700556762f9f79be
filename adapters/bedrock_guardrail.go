package adapters

import (
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// checkGuardrail refuses a guardrail that would not be asked: a call that was to be guarded must not go unguarded.
// Converse's is checked by AWS, as long as it is an object.
func checkGuardrail(c *call, m *bedrockModel) *apierror.Error {
	g := c.get("guardrailConfig")
	if g == "" {
		return nil
	}
	if !g.IsObject() {
		return refused("guardrailConfig", "'guardrailConfig' must be an object with guardrailIdentifier, guardrailVersion and trace, not %s.", kindOf(g))
	}
	if !m.invoked {
		return nil
	}
	for _, h := range guardrailHeaders {
		v := g.Get(h.field)
		switch {
		case v == "" && h.field != "guardrailIdentifier":
		case !v.IsString() || v == `""` || headerValue(v.Text()) != nil:
			return refused("guardrailConfig."+h.field, "'guardrailConfig.%s' must be a text that can stand in a header.", h.field)
		case h.field == "trace" && !v.Is("enabled") && !v.Is("disabled") && !v.Is("enabled_full"):
			return refused("guardrailConfig.trace", "'guardrailConfig.trace' must be enabled, disabled or enabled_full.")
		}
	}
	return nil
}

// guardrailHeaders are where InvokeModel takes a guardrail.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
var guardrailHeaders = [...]struct{ field, name string }{
	{"guardrailIdentifier", "x-amzn-bedrock-guardrailidentifier"},
	{"guardrailVersion", "x-amzn-bedrock-guardrailversion"},
	{"trace", "x-amzn-bedrock-trace"},
}

// bedrockGuardrail is a guardrail for InvokeModel, as [checkGuardrail] left it. Converse has it in the body.
func bedrockGuardrail(c *call, m *bedrockModel) (list []Header) {
	g := c.get("guardrailConfig")
	if !m.invoked || !g.IsObject() {
		return nil
	}
	for _, h := range guardrailHeaders {
		v := g.Get(h.field).Text()
		if h.field == "trace" {
			v = strings.ToUpper(v)
		}
		if v != "" && headerValue(v) == nil {
			list = append(list, Header{h.name, v})
		}
	}
	return list
}
