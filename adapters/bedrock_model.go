package adapters

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// bedrockModel is a Bedrock model string taken apart:
// [converse/ | invoke/] [region/] [format/] id, where id may be an ARN.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html
type bedrockModel struct {
	// id is what AWS is told, not yet encoded.
	id string
	// region is where a path or an ARN says that the model is.
	region string
	// base is vendor.name in lower case, without region and throughput; of an opaque ARN it is the last part.
	base string
	// arn: the id is an ARN, which need not tell the model.
	arn bool
	// invoked: InvokeModel is asked and not Converse.
	invoked bool
	// format is the family whose format an invoked model speaks.
	format string
}

// invokeFormats are the words for formats that may stand before an ARN.
var invokeFormats = []string{"anthropic", "amazon", "meta", "llama", "mistral", "cohere", "ai21"}

// crossRegions begin the ids of inference profiles.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
var crossRegions = []string{"global", "us", "us-gov", "eu", "apac", "jp", "au", "ca", "in", "sa", "me", "af", "il"}

// notConverse begin the models that only InvokeModel has.
var notConverse = []string{
	"amazon.titan-", "meta.llama2", "cohere.command-text", "cohere.command-light", "ai21.j2",
	"mistral.mistral-7b", "mistral.mixtral", "anthropic.claude-v1",
}

var throughput = regexp.MustCompile(`(:\d+):\d+k$|\[\w+\]$`)

func parseBedrockModel(model string) bedrockModel {
	m := bedrockModel{id: model}
	converse := false
	for {
		head, rest, slash := strings.Cut(m.id, "/")
		switch {
		case !slash:
		case head == "bedrock":
			m.id = rest
			continue
		case head == "converse" || head == "converse_like" || head == "chat_completions":
			m.id, converse = rest, true
			continue
		case head == "invoke":
			m.id, m.invoked = rest, true
			continue
		case m.region == "" && isRegion(head):
			m.id, m.region = rest, head
			continue
		case head == "nova" || head == "nova-2":
			m.id, m.base, converse = rest, "amazon."+head+"-custom", true
			continue
		case slices.Contains(invokeFormats, head):
			m.id, m.format, m.invoked = rest, head, !converse
			continue
		}
		break
	}
	m.arn = strings.HasPrefix(m.id, "arn:")
	if m.region == "" {
		m.region = arnRegion(m.id)
	}
	if m.base == "" {
		m.base = bedrockBase(m.id)
	}
	if m.invoked && m.is("amazon.nova") {
		m.invoked = false // by InvokeModel Nova speaks nearly Converse's format: it is asked by Converse
	}
	if !converse && !m.invoked {
		m.invoked = slices.ContainsFunc(notConverse, func(p string) bool { return strings.HasPrefix(m.base, p) })
	}
	if m.format == "" {
		m.format, _, _ = strings.Cut(m.base, ".")
	}
	return m
}

// bedrockBase is an id without what does not tell the model.
func bedrockBase(id string) string {
	if strings.HasPrefix(id, "arn:") {
		id = id[strings.LastIndexByte(id, '/')+1:]
	}
	if strings.HasSuffix(id, "k") || strings.HasSuffix(id, "]") {
		id = throughput.ReplaceAllString(id, "$1")
	}
	if head, rest, dot := strings.Cut(id, "."); dot && slices.Contains(crossRegions, head) {
		id = rest
	}
	return strings.ToLower(id)
}

// arnRegion is the region that a Bedrock ARN names, or "".
func arnRegion(id string) string {
	if !strings.HasPrefix(id, "arn:aws") {
		return ""
	}
	parts := strings.SplitN(id, ":", 5)
	if len(parts) < 5 || parts[2] != "bedrock" || !isRegion(parts[3]) {
		return ""
	}
	return parts[3]
}

// isRegion tells whether s is like us-east-1, us-gov-west-1 or cn-north-1.
func isRegion(s string) bool {
	parts := strings.Split(s, "-")
	n := len(parts)
	if n < 3 || n > 4 || len(parts[0]) != 2 || len(s) > 32 {
		return false
	}
	for _, p := range parts[:n-1] {
		if p == "" || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz") != "" {
			return false
		}
	}
	return len(parts[n-1]) <= 2 && parts[n-1] != "" && strings.Trim(parts[n-1], "0123456789") == ""
}

// is tells whether the base begins with one of prefixes.
func (m *bedrockModel) is(prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(m.base, p) {
			return true
		}
	}
	return false
}

// bedrockCan is what a model on Converse takes.
type bedrockCan uint16

const (
	canTools      bedrockCan = 1 << iota
	canChoose                // a tool can be chosen for it
	canThink                 // Claude's thinking, or something that is asked for in the same way
	canEffort                // reasoning_effort as it is
	canGPTEffort             // reasoning.effort
	canNovaEffort            // reasoningConfig
	canSchema                // a JSON schema natively
	canCache                 // cache points
	canSample                // temperature and top_p
	wantsRoom                // max_tokens below 16 is refused
)

// bedrockFamilies tells by prefix, the longest first within a vendor, what models other than Claude take, so that
// one newer than this program is treated like its neighbours.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html
var bedrockFamilies = []struct {
	prefix string
	can    bedrockCan
}{
	{"amazon.nova-2", canTools | canChoose | canNovaEffort | canCache | canSample},
	{"amazon.nova", canTools | canChoose | canCache | canSample},
	{"amazon.", canSample},
	{"meta.llama3-1", canTools | canSample},
	{"meta.llama3-2", canTools | canSample},
	{"meta.llama3-3", canTools | canSample},
	{"meta.llama3", canSample},
	{"meta.llama2", canSample},
	{"meta.", canTools | canSample},
	{"mistral.mistral-large-2407", canTools | canChoose | canSample},
	{"mistral.mistral-large-3", canTools | canSchema | canSample},
	{"mistral.ministral", canTools | canSchema | canSample},
	{"mistral.voxtral", canTools | canSchema | canSample},
	{"mistral.magistral", canTools | canThink | canSample},
	{"mistral.devstral", canTools | canChoose | canSample},
	{"mistral.", canTools | canSample},
	{"cohere.", canTools | canSample},
	{"ai21.", canSample},
	{"deepseek.r1", canSample},
	{"deepseek.", canTools | canChoose | canEffort | canSchema | canSample},
	{"openai.gpt-oss-safeguard", canTools | canEffort | canSample},
	{"openai.gpt-oss", canTools | canChoose | canEffort | canSample},
	{"openai.gpt-", canTools | canChoose | canGPTEffort | wantsRoom},
	{"qwen.qwen3-coder-next", canTools | canChoose | canSample},
	{"qwen.qwen3-next", canTools | canSchema | canSample},
	{"qwen.qwen3-vl", canTools | canSchema | canSample},
	{"qwen.", canTools | canChoose | canThink | canSchema | canSample},
	{"minimax.minimax-m2.", canTools | canChoose | canSample},
	{"minimax.", canTools | canSchema | canSample},
	{"moonshot.", canTools | canThink | canSchema | canSample},
	{"moonshotai.kimi-k2", canTools | canChoose | canSample},
	{"moonshotai.", canTools | canChoose | canThink | canSample},
	{"nvidia.nemotron-nano-3", canTools | canChoose | canSchema | canSample},
	{"nvidia.nemotron-super", canTools | canChoose | canThink | canSample},
	{"nvidia.", canTools | canSample},
	{"google.", canTools | canSample},
	{"writer.palmyra-vision", canSample},
	{"writer.", canTools | canSample},
	{"xai.", canTools | canChoose | canThink | canSample | wantsRoom},
	{"zai.glm-5", canTools | canChoose | canThink | canSchema | canSample},
	{"zai.", canTools | canChoose | canThink | canSample},
}

// can is what the model takes.
func (m *bedrockModel) can() bedrockCan {
	can := m.familyCan()
	if m.arn {
		// What an ARN stands for is not always told: AWS will know.
		can |= canTools | canChoose | canThink
	}
	return can
}

func (m *bedrockModel) familyCan() bedrockCan {
	if m.is("anthropic.") {
		return claudeCan(claudeOf(m.base))
	}
	for i := range bedrockFamilies {
		if strings.HasPrefix(m.base, bedrockFamilies[i].prefix) {
			return bedrockFamilies[i].can
		}
	}
	return canTools | canChoose | canCache | canSample
}

func claudeCan(c claude) bedrockCan {
	can := canTools | canChoose
	if c.reasons() {
		can |= canThink
	}
	if c.samples() {
		can |= canSample
	}
	// From 4.7 on Bedrock takes no schema, but for Mythos.
	if c.structured() && (!c.atLeast(4, 7) || c.family == "mythos") {
		can |= canSchema
	}
	if c.atLeast(3, 7) || c.family == "mythos" || c.major == 0 || c.major == 3 && c.minor == 5 && c.family == "haiku" {
		can |= canCache
	}
	return can
}

// strict: the model takes a tool's strict.
func (m *bedrockModel) strict() bool {
	if !m.is("anthropic.") {
		return false
	}
	c := claudeOf(m.base)
	switch c.family {
	case "sonnet", "opus", "haiku":
		return !c.atLeast(4, 7) && (c.family != "sonnet" || c.major != 4 || c.minor != 0)
	}
	return true
}

// longCache: a cache point may say how long it lives.
func (m *bedrockModel) longCache() bool {
	c := claudeOf(m.base)
	return m.is("anthropic.") && (c.atLeast(4, 5) || c.family == "mythos")
}

// jsonText is a JSON text decoded.
func jsonText(raw []byte) (string, bool) {
	v := jsondoc.Value(raw)
	return v.Text(), v.IsString() && json.Valid(raw)
}
