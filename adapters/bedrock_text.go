package adapters

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// invokedText are the models that complete a prompt: Titan, Llama, Mistral, Command and Jurassic by InvokeModel.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
type invokedText struct{}

// textFormat is how one family wants its prompt and its parameters.
type textFormat struct {
	prompt func([]message) string
	field  string // of the prompt
	// config is the member that holds the parameters; "": they stand beside the prompt.
	config string
	rename []renaming // what it takes, and under which name
	list   string     // the parameter that is always a list
	flag   bool       // a stream is asked for in the body, too
}

var textFormats = map[string]textFormat{
	"amazon": {
		prompt: titanPrompt, field: "inputText", config: "textGenerationConfig", list: "stopSequences",
		rename: []renaming{{"max_completion_tokens", "maxTokenCount"}, {"max_tokens", "maxTokenCount"}, {"temperature", "temperature"},
			{"top_p", "topP"}, {"stop", "stopSequences"}},
	},
	"meta":  {prompt: llamaPrompt, field: "prompt", rename: llamaTakes},
	"llama": {prompt: llamaPrompt, field: "prompt", rename: llamaTakes},
	"mistral": {
		prompt: mistralPrompt, field: "prompt", list: "stop",
		rename: []renaming{{"max_completion_tokens", "max_tokens"}, {"max_tokens", "max_tokens"}, {"temperature", "temperature"},
			{"top_p", "top_p"}, {"stop", "stop"}},
	},
	"cohere": {
		prompt: commandPrompt, field: "prompt", list: "stop_sequences", flag: true,
		rename: []renaming{{"max_completion_tokens", "max_tokens"}, {"max_tokens", "max_tokens"}, {"temperature", "temperature"},
			{"top_p", "p"}, {"stop", "stop_sequences"}, {"frequency_penalty", "frequency_penalty"},
			{"presence_penalty", "presence_penalty"}, {"seed", "seed"}, {"n", "num_generations"}},
	},
	"ai21": {
		prompt: commandPrompt, field: "prompt",
		rename: []renaming{{"max_completion_tokens", "maxTokens"}, {"max_tokens", "maxTokens"}, {"temperature", "temperature"}, {"top_p", "topP"}},
	},
}

var llamaTakes = []renaming{{"max_completion_tokens", "max_gen_len"}, {"max_tokens", "max_gen_len"},
	{"temperature", "temperature"}, {"top_p", "top_p"}}

func (invokedText) carries(op Op) bool { return op == Chat }

func (invokedText) supports(c *call) *apierror.Error {
	m := parseBedrockModel(c.model)
	f, ok := textFormats[m.format]
	if !ok {
		return refused("model", "bedrock: the format that model %s speaks by InvokeModel is not known; use bedrock/converse/%s.", c.model, m.id)
	}
	if err := c.unsupported(func(name string) bool {
		return slices.Contains(openAIParams, name) && !slices.ContainsFunc(f.rename, func(r renaming) bool { return r.from == name })
	}); err != nil {
		return err
	}
	if c.r.facts&(hasImage|hasAudio) != 0 {
		return refused("messages", "Model %s takes text only.", c.model)
	}
	return nil
}

func (invokedText) body(c *call) ([]byte, *apierror.Error) {
	m := parseBedrockModel(c.model)
	f := textFormats[m.format]
	dst := append(apierror.AppendString([]byte{'{'}, f.field), ':')
	prompt := f.prompt
	if strings.Contains(m.base, "llama2") {
		prompt = llama2Prompt
	}
	dst = apierror.AppendString(dst, prompt(readMessages(c.get("messages"))))
	start := 1
	if f.config != "" {
		dst = append(append(apierror.AppendString(append(dst, ','), f.config), ':'), '{')
		start = len(dst)
	}
	done := map[string]bool{}
	for _, r := range f.rename {
		v := c.get(r.from)
		if v == "" || done[r.to] {
			continue
		}
		if r.to == f.list && v.IsString() {
			v = "[" + v + "]"
		}
		done[r.to] = true
		dst = member(dst, start, r.to, v)
	}
	for i := range c.fields {
		switch p := &c.fields[i]; {
		case p.value == "", converseOwn[p.name] && p.name != "top_k", slices.Contains(openAIParams, p.name), done[p.name]:
		default:
			dst = member(dst, start, p.name, p.value)
		}
	}
	if f.config != "" {
		dst = append(dst, '}')
	}
	if f.flag && c.r.stream {
		dst = append(dst, `,"stream":true`...)
	}
	return append(dst, '}'), nil
}

// textOf is a message's text: its content, or the texts of its parts.
func textOf(m *message) string {
	if m.content.IsString() {
		return m.content.Text()
	}
	var b strings.Builder
	for part := range m.content.Elements() {
		b.WriteString(part.Get("text").Text())
	}
	return b.String()
}

// titanPrompt is Titan's: User and Bot take turns, and the Bot is next.
func titanPrompt(messages []message) string {
	const user, bot = "\n\nUser: ", "\n\nBot: "
	var b strings.Builder
	for i := range messages {
		m := &messages[i]
		switch text := textOf(m); {
		case m.kind == roleSystem:
			b.WriteString(user + "<admin>" + text + "</admin>")
		case m.role.Is("user"):
			b.WriteString(user + text)
		default:
			if i == 0 {
				b.WriteString(user)
			}
			b.WriteString(bot + text)
		}
	}
	if messages[len(messages)-1].kind != roleAssistant {
		b.WriteString(bot)
	}
	return b.String()
}

// llamaPrompt is that of Llama 3 and 4.
//
// https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/
func llamaPrompt(messages []message) string {
	const head, body, end = "<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"
	var b strings.Builder
	b.WriteString("<|begin_of_text|>")
	for i := range messages {
		m := &messages[i]
		role := m.role.Text()
		if m.kind == roleSystem {
			role = "system"
		}
		b.WriteString(head + role + body + strings.TrimSpace(textOf(m)) + end)
	}
	b.WriteString(head + "assistant" + body)
	return b.String()
}

// llama2Prompt is that of Llama 2's chat models.
func llama2Prompt(messages []message) string {
	var b strings.Builder
	b.WriteString("<s>")
	open := true
	for i := range messages {
		m := &messages[i]
		switch text := textOf(m); {
		case m.kind == roleSystem:
			if !open {
				b.WriteString("<s>")
				open = true
			}
			b.WriteString("[INST] <<SYS>>\n" + text + "\n<</SYS>>\n [/INST]\n")
		case m.kind == roleAssistant:
			b.WriteString(text + "\n</s>")
			open = false
		default:
			b.WriteString("[INST] " + text + " [/INST]\n")
		}
	}
	return b.String()
}

// mistralPrompt is that of Mistral's instructed models.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-mistral-text-completion.html
func mistralPrompt(messages []message) string {
	var b strings.Builder
	b.WriteString("<s>")
	for i := range messages {
		m := &messages[i]
		switch text := textOf(m); {
		case m.kind == roleSystem:
			b.WriteString("[INST] \n" + text + " [/INST]\n")
		case m.kind == roleAssistant:
			b.WriteString(" " + text + "</s> ")
		default:
			b.WriteString("[INST] " + text + " [/INST]\n")
		}
	}
	return b.String()
}

// commandPrompt is the texts alone.
func commandPrompt(messages []message) string {
	texts := make([]string, 0, len(messages))
	for i := range messages {
		if text := textOf(&messages[i]); text != "" {
			texts = append(texts, text)
		}
	}
	return strings.TrimRight(strings.Join(texts, "\n\n"), " \n")
}

func (invokedText) translator(c *call, p *Reply) translator {
	inner := &textReply{converseReply: *converse{}.translator(c, p).(*converseReply)}
	return &unchunked{p: p, inner: inner}
}

func (invokedText) failure(doc *jsondoc.Doc) *failure { return awsFailure(doc) }
