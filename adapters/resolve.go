package adapters

import "strings"

func resolve(model, base string) (*provider, string, error) {
	name, rest, _ := strings.Cut(model, "/")
	for i := range providers {
		if providers[i].name == name {
			return &providers[i], rest, nil
		}
	}
	return nil, "", ErrNotBuilt
}
