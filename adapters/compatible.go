package adapters

import (
	_ "embed"
	"encoding/json"
	"maps"
	"slices"
)

// compatible.json lists the providers whose API is OpenAI's, by LiteLLM's name for them. A row is
//
//	base         the URL of the API; without it every installation has its own, named by api_base
//	env          variables that hold the API key, the first being the one to recommend
//	base_env     variables that hold another base; without it NAME_API_BASE beside NAME_API_KEY
//	keyless      works without a key: it is self-hosted
//	completions  has the old completions API; others are asked for a chat
//	rerank       the path of its rerank API under the base
//	max_tokens   knows max_completion_tokens by its older name only
//	plain_text   takes content that is all text as a string only
//	cache_marks  reads cache_control marks
//	efforts      takes reasoning_effort for every model, not only for those that the catalogue says reason
//	takes        the OpenAI parameters it takes, where it does not take (nearly) all
//	refuses      those it does not take, where they are few
//	silent       those that are left out and that nobody misses
//
//go:embed compatible.json
var compatibleFile []byte

type compatibleRow struct {
	Base       string   `json:"base"`
	Env        []string `json:"env"`
	BaseEnv    []string `json:"base_env"`
	Keyless    bool     `json:"keyless"`
	Completes  bool     `json:"completions"`
	Rerank     string   `json:"rerank"`
	MaxTokens  bool     `json:"max_tokens"`
	PlainText  bool     `json:"plain_text"`
	CacheMarks bool     `json:"cache_marks"`
	Efforts    bool     `json:"efforts"`
	Takes      []string `json:"takes"`
	Refuses    []string `json:"refuses"`
	Silent     []string `json:"silent"`
}

// compatibleRows panics on a file that is not valid: that is a broken build, met by every test.
func compatibleRows() []provider {
	var rows map[string]compatibleRow
	if err := json.Unmarshal(compatibleFile, &rows); err != nil {
		panic("adapters: compatible.json: " + err.Error())
	}
	out := make([]provider, 0, len(rows))
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		r := rows[name]
		p := provider{
			name: name, base: r.Base, env: r.Env, keyless: r.Keyless, dialect: openAI{}, host: bearer,
			quirks: quirks{takes: r.Takes, refuses: r.Refuses, silent: r.Silent, markCache: r.CacheMarks, plainText: r.PlainText, rerank: r.Rerank},
		}
		if r.MaxTokens {
			p.quirks.rename = plainMax
		}
		if !r.Efforts {
			p.quirks.reasons = (*call).reasons
		}
		if !r.Completes {
			p.quirks.chats = chatsOnly
		}
		if len(r.BaseEnv) > 0 {
			p.settings = map[string][]string{"api_base": r.BaseEnv}
		}
		out = append(out, p)
	}
	return out
}
