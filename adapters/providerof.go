package adapters

// ProviderOf is the provider that a model string names, by its prefix or, without one, by its name alone:
// "openai" for "openai/gpt-4o" and for "gpt-4o". It is "" for what names no provider that is built.
func ProviderOf(model string) string {
	p, _, err := resolve(model, "")
	if err != nil {
		return ""
	}
	return p.name
}

// NameOf takes a model string apart as [New] does: the provider, and the model's name there. Both are ""
// for what names no provider that is built.
func NameOf(model, apiBase string) (provider, name string) {
	p, name, err := resolve(model, apiBase)
	if err != nil {
		return "", ""
	}
	return p.name, name
}
