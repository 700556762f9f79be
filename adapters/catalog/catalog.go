// Package catalog knows models: what they cost, how much they take and what they can do.
//
// [Lookup] finds a model in the catalogue that is built in, models.txt, by the names that LiteLLM gives
// models. [Info.With] puts a deployment's own prices and limits over it, and [Prices.Cost] tells what a
// call's tokens cost, as LiteLLM's cost calculator does
// (https://docs.litellm.ai/docs/completion/token_usage). The catalogue comes from LiteLLM's PyPI package;
// `make catalog` renews it.
//
// It leaves alone what a call used (package adapters reads that) and who pays for it.
package catalog

// Info is what is known of a model. The zero Info is that of a model nobody knows.
type Info struct {
	Name     string // in the catalogue; empty: it is not there
	Provider string // LiteLLM's name of the one that the entry is about: "bedrock_converse", "vertex_ai-language-models" …
	Mode     string // chat, completion, embedding, image_generation …; empty: not known
	// In tokens; 0: not known. MaxTokens is LiteLLM's older word for MaxOutputTokens, for embeddings for
	// MaxInputTokens.
	MaxInputTokens, MaxOutputTokens, MaxTokens int64
	Dimensions                                 int64 // of an embedding; 0: not known
	Prices                                     Prices
	Abilities                                  Ability
}

// Can reports whether the model is known to have all of these abilities.
func (i *Info) Can(a Ability) bool { return i.Abilities&a == a }

// Ability is a set of things that models may be able to do.
type Ability uint32

// The abilities that the catalogue tells.
const (
	FunctionCalling Ability = 1 << iota
	ParallelFunctionCalling
	ToolChoice
	ResponseSchema // response_format json_schema
	NativeStructuredOutput
	Vision
	PDFInput
	AudioInput
	AudioOutput
	VideoInput
	Reasoning
	PromptCaching
	SystemMessages
	WebSearch
	URLContext
	ComputerUse
	AssistantPrefill
	NativeStreaming
	EmbeddingImageInput
)

// abilities are their letters in models.txt and LiteLLM's names.
var abilities = []struct {
	letter byte
	name   string
	is     Ability
}{
	{'f', "supports_function_calling", FunctionCalling},
	{'p', "supports_parallel_function_calling", ParallelFunctionCalling},
	{'t', "supports_tool_choice", ToolChoice},
	{'j', "supports_response_schema", ResponseSchema},
	{'n', "supports_native_structured_output", NativeStructuredOutput},
	{'v', "supports_vision", Vision},
	{'d', "supports_pdf_input", PDFInput},
	{'a', "supports_audio_input", AudioInput},
	{'A', "supports_audio_output", AudioOutput},
	{'V', "supports_video_input", VideoInput},
	{'r', "supports_reasoning", Reasoning},
	{'c', "supports_prompt_caching", PromptCaching},
	{'s', "supports_system_messages", SystemMessages},
	{'w', "supports_web_search", WebSearch},
	{'u', "supports_url_context", URLContext},
	{'x', "supports_computer_use", ComputerUse},
	{'P', "supports_assistant_prefill", AssistantPrefill},
	{'S', "supports_native_streaming", NativeStreaming},
	{'e', "supports_embedding_image_input", EmbeddingImageInput},
}
