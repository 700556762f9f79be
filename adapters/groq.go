package adapters

import "github.com/sluicegw/sluice/adapters/catalog"

// groqJSONByTool tells Groq's models that are not known to have structured outputs.
//
// https://console.groq.com/docs/structured-outputs#supported-models
func groqJSONByTool(model string) bool {
	info, _ := catalog.Lookup("groq", model)
	return !info.Can(catalog.ResponseSchema)
}
