package ledger

import (
	"encoding/json"
	"strings"
)

// jsonText is a text as it stands in a JSON array.
func jsonText(s string) (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}

var likeEscaper = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// likeEscape makes a text one that LIKE finds as it is, with ESCAPE '!'.
func likeEscape(s string) string { return likeEscaper.Replace(s) }
