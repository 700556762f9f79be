package adapters

import "testing"

func TestBeside(t *testing.T) {
	const hi = `"model":"m","messages":[{"role":"user","content":"Hi"}]`
	const function = `{"type":"function","function":{"name":"f"}}`
	for body, want := range map[string]Beside{
		`{` + hi + `}`: {},
		`{` + hi + `,"tools":[` + function + `]}`:                                                {},
		`{` + hi + `,"web_search_options":{}}`:                                                   {Searches: assumedSearches},
		`{` + hi + `,"extra_body":{"search_parameters":{"mode":"on"}}}`:                          {Searches: assumedSearches},
		`{` + hi + `,"tools":[` + function + `,{"googleSearch":{}}]}`:                            {Searches: assumedSearches},
		`{` + hi + `,"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3}]}`: {Searches: 3},
		`{` + hi + `,"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":9223372036854775807},{"type":"web_search_20250305","name":"web_search","max_uses":9223372036854775807}]}`: {Searches: mostSearches},
		`{` + hi + `,"modalities":["text","AUDIO"]}`:                                                              {Spoken: true},
		`{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":""}}]}]}`: {Heard: true},
	} {
		r, err := Parse(Chat, []byte(body))
		if err != nil {
			t.Fatal(body, err)
		}
		if got := r.Beside(); got != want {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
}
