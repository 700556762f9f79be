package adapters

import (
	"strings"
	"testing"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

func TestThinkTagsInPieces(t *testing.T) {
	var tags thinkTags
	var thinking, content strings.Builder
	for _, piece := range []string{`"<think>a"`, `"b"`, `"c</think>d"`, `"<think>e"`} {
		a, b := tags.split(jsondoc.Value(piece))
		thinking.WriteString(a.Text())
		content.WriteString(b.Text())
	}
	if thinking.String() != "abc" || content.String() != "d<think>e" {
		t.Errorf("thinking %q, content %q", thinking.String(), content.String())
	}
}
