package adapters

import (
	"strings"

	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// groqJSONByTool tells Groq's models that are not known to have structured outputs.
//
// https://console.groq.com/docs/structured-outputs#supported-models
func groqJSONByTool(model string) bool {
	info, _ := catalog.Lookup("groq", model)
	return !info.Can(catalog.ResponseSchema)
}

// groq makes a search that is asked for a tool of Groq's, of the models that have one. Its compound models search as
// they see fit.
//
// https://console.groq.com/docs/browser-search
func groq(c *call) *apierror.Error {
	if !c.get("web_search_options").Exists() {
		return nil
	}
	compound := strings.Contains(c.model, "compound")
	if !compound && !c.can(catalog.WebSearch) {
		return c.unsupported(func(name string) bool { return name == "web_search_options" })
	}
	c.set("web_search_options", "")
	tools := c.get("tools")
	for tool := range tools.Elements() {
		compound = compound || tool.Get("type").Is("browser_search")
	}
	if compound {
		return nil
	}
	list := []byte{'['}
	for tool := range tools.Elements() {
		list = append(append(list, tool...), ',')
	}
	c.set("tools", jsondoc.Value(append(list, `{"type":"browser_search"}]`...)))
	return nil
}
