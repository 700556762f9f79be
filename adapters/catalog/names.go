package catalog

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func isBedrock(provider string) bool { return provider == "bedrock" || provider == "bedrock_converse" }

// bedrockRoutes are LiteLLM's prefixes that say which API of Bedrock's is meant.
var bedrockRoutes = []string{"bedrock/", "chat_completions/", "converse/", "invoke/", "openai/", "mantle/", "nova-2/", "nova/"}

// crossRegions are the areas that a cross-region inference profile's name begins with.
var crossRegions = []string{"global", "us", "eu", "apac", "jp", "au", "us-gov"}

var (
	awsRegion     = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d+$`)
	throughput    = regexp.MustCompile(`(:\d+):\d+k$`)
	vertexVersion = regexp.MustCompile(`-\d+$`)
	snapshot      = regexp.MustCompile(`-\d{4}-\d{2}-\d{2}$`)
	fineTune      = regexp.MustCompile(`(:[^:]*){3}$`)
)

func withoutRoute(model string) string {
	for _, route := range bedrockRoutes {
		model = strings.TrimPrefix(model, route)
	}
	return model
}

// strip takes off what sets a name apart from its family's, as LiteLLM's _strip_model_name does.
func strip(provider, model string) string {
	switch {
	case isBedrock(provider):
		return bedrockBase(model)
	case provider == "vertex_ai" || provider == "gemini" || provider == "databricks":
		return vertexVersion.ReplaceAllString(model, "")
	case strings.Contains(model, "ft:"):
		return fineTune.ReplaceAllString(model, "")
	case len(model) > 11 && model[len(model)-3] == '-':
		return snapshot.ReplaceAllString(model, "")
	}
	return model
}

// bedrockBase is the model behind an inference profile, an ARN or a region's path.
func bedrockBase(model string) string {
	switch {
	case strings.HasPrefix(model, "nova-2/"):
		return "amazon.nova-2-custom"
	case strings.HasPrefix(model, "nova/"):
		return "amazon.nova-custom"
	}
	model = withoutRoute(model)
	if strings.Contains(strings.ToLower(model), "arn") {
		model = model[strings.LastIndexByte(model, '/')+1:]
	}
	model = throughput.ReplaceAllString(model, "$1")
	if area, rest, ok := strings.Cut(model, "."); ok && slices.Contains(crossRegions, area) {
		return rest
	}
	if region, rest, ok := strings.Cut(model, "/"); ok && awsRegion.MatchString(region) {
		return rest
	}
	return model
}

// vertexName is the catalogue's name for models of others on Vertex AI.
func vertexName(model string) string {
	if strings.HasPrefix(model, "llama") {
		if _, ok := find("vertex_ai", "meta/"+model, true); ok {
			return "meta/" + model
		}
	}
	if !strings.Contains(model, "@") {
		if info, ok := find("vertex_ai", model+"@latest", true); ok &&
			(strings.Contains(info.Provider, "mistral") || strings.Contains(info.Provider, "ai21")) {
			return model + "@latest"
		}
	}
	return model
}

var (
	experts    = regexp.MustCompile(`(\d+)x(\d+)b`)
	parameters = regexp.MustCompile(`(\d+)b`)
	millions   = regexp.MustCompile(`(\d+)m`)
)

// sizeClass prices a model that is not in the catalogue by the number of its parameters, for the two
// providers that price by it. A model of Fireworks' without a size in its name is free with LiteLLM; here
// its price is unknown.
func sizeClass(provider, model string) (Info, bool) {
	name, class := strings.ToLower(model), ""
	switch provider {
	case "fireworks_ai":
		class = fireworksClass(name)
	case "together_ai":
		class = togetherClass(name)
	}
	if class == "" {
		return Info{}, false
	}
	return find(provider, class, false)
}

// class is the first whose limit a size does not exceed.
type class struct {
	most float64
	name string
}

var (
	fireworksExperts = []class{{56, "fireworks-ai-moe-up-to-56b"}, {176, "fireworks-ai-56b-to-176b"}}
	fireworksSizes   = []class{{4, "fireworks-ai-up-to-4b"}, {16, "fireworks-ai-4.1b-to-16b"}, {1e9, "fireworks-ai-above-16b"}}
	togetherSizes    = []class{{4, "together-ai-up-to-4b"}, {8, "together-ai-4.1b-8b"}, {21, "together-ai-8.1b-21b"},
		{41, "together-ai-21.1b-41b"}, {80, "together-ai-41.1b-80b"}, {110, "together-ai-81.1b-110b"}}
	togetherEmbeddings = []class{{150, "together-ai-embedding-up-to-150m"}, {350, "together-ai-embedding-151m-to-350m"}}
)

func classOf(classes []class, size float64) string {
	for _, c := range classes {
		if size <= c.most {
			return c.name
		}
	}
	return ""
}

func fireworksClass(name string) string {
	if m := experts.FindStringSubmatch(name); m != nil {
		if c := classOf(fireworksExperts, size(m[1])*size(m[2])); c != "" {
			return c
		}
	}
	if m := parameters.FindStringSubmatch(name); m != nil {
		return classOf(fireworksSizes, size(m[1]))
	}
	return ""
}

func togetherClass(name string) string {
	if m := parameters.FindStringSubmatch(name); m != nil {
		return classOf(togetherSizes, size(m[1]))
	}
	if m := millions.FindStringSubmatch(name); m != nil {
		return classOf(togetherEmbeddings, size(m[1]))
	}
	return ""
}

// size reads digits.
func size(digits string) float64 {
	n, _ := strconv.ParseFloat(digits, 64)
	return n
}
