package sdks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/schemas"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"

	"github.com/sluicegw/sluice/internal/eventframes"
)

// TestAWSKnowsRequests: what is sent to Converse has the members and types of AWS's own model of it, and no others.
func TestAWSKnowsRequests(t *testing.T) {
	eachCase(t, "../testdata/bedrock/*.txtar", func(t *testing.T, files map[string]string) {
		path, body := requestOf(files)
		if !strings.Contains(path, "/converse") {
			return
		}
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range unlike("", v, schemas.ConverseStreamRequest) {
			t.Error(wrong)
		}
	})
}

// unlike lists where a value departs from AWS's model of it.
func unlike(at string, v any, s *smithy.Schema) (list []string) {
	kind := "object"
	switch v := v.(type) {
	case map[string]any:
		switch s.Type() {
		case smithy.ShapeTypeDocument:
		case smithy.ShapeTypeMap:
			for name, m := range v {
				list = append(list, unlike(at+"."+name, m, s.MapValue())...)
			}
		case smithy.ShapeTypeUnion, smithy.ShapeTypeStructure:
			if s.Type() == smithy.ShapeTypeUnion && len(v) != 1 {
				list = append(list, fmt.Sprintf("%s: %d members of a union", at, len(v)))
			}
			for name, m := range v {
				if member := s.Member(name); member == nil {
					list = append(list, fmt.Sprintf("%s.%s is unknown", at, name))
				} else {
					list = append(list, unlike(at+"."+name, m, member)...)
				}
			}
		default:
			return []string{fmt.Sprintf("%s is an object, in AWS's model %v", at, s.TargetID())}
		}
		return list
	case []any:
		kind = "array"
		switch s.Type() {
		case smithy.ShapeTypeDocument:
			return nil
		case smithy.ShapeTypeList, smithy.ShapeTypeSet:
			for i, m := range v {
				list = append(list, unlike(fmt.Sprintf("%s[%d]", at, i), m, s.ListMember())...)
			}
			return list
		}
	case string:
		kind = "string"
		switch s.Type() {
		case smithy.ShapeTypeDocument, smithy.ShapeTypeString, smithy.ShapeTypeEnum, smithy.ShapeTypeBlob:
			return nil
		}
	case float64:
		kind = "number"
		switch s.Type() {
		case smithy.ShapeTypeInteger, smithy.ShapeTypeLong, smithy.ShapeTypeFloat, smithy.ShapeTypeDouble, smithy.ShapeTypeDocument:
			return nil
		}
	case bool:
		kind = "boolean"
		switch s.Type() {
		case smithy.ShapeTypeBoolean, smithy.ShapeTypeDocument:
			return nil
		}
	case nil:
		if s.Type() == smithy.ShapeTypeDocument {
			return nil
		}
		kind = "null"
	}
	return []string{fmt.Sprintf("%s is a %s, in AWS's model %v", at, kind, s.TargetID())}
}

// TestAWSReadsAnswers: AWS's client reads the fixtures that stand for Bedrock, whole and streamed.
func TestAWSReadsAnswers(t *testing.T) {
	eachCase(t, "../testdata/bedrock/*.txtar", func(t *testing.T, files map[string]string) {
		path, _ := requestOf(files)
		if strings.Contains(files["want.usage"], "error ") || path == "" {
			return
		}
		body, media := []byte(files["upstream.json"]), "application/json"
		if text, ok := files["upstream.aws"]; ok {
			var err error
			if body, err = eventframes.Of(text); err != nil {
				t.Fatal(err)
			}
			media = "application/vnd.amazon.eventstream"
		}
		if len(body) == 0 {
			return
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("content-type", media)
			w.Write(body)
		}))
		defer server.Close()
		client := bedrockruntime.New(bedrockruntime.Options{
			Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
		})
		switch {
		case strings.HasSuffix(path, "/converse"):
			out, err := client.Converse(t.Context(), &bedrockruntime.ConverseInput{ModelId: aws.String("m")})
			if err != nil || out.Output == nil || out.StopReason == "" || out.Usage == nil {
				t.Errorf("%v: %+v", err, out)
			}
		case strings.HasSuffix(path, "/converse-stream"):
			readConverse(t, client)
		case strings.HasSuffix(path, "/invoke-with-response-stream"):
			readInvoked(t, client)
		}
	})
}

func readConverse(t *testing.T, client *bedrockruntime.Client) {
	out, err := client.ConverseStream(context.Background(), &bedrockruntime.ConverseStreamInput{ModelId: aws.String("m")})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	for event := range out.GetStream().Events() {
		switch event := event.(type) {
		case *types.UnknownUnionMember:
			if event.Tag != "newEvent" { // which a case has because AWS may add some
				t.Errorf("AWS's client does not know the event %s", event.Tag)
			}
		case *types.ConverseStreamOutputMemberMessageStop:
			stopped = true
		}
	}
	if err := out.GetStream().Err(); err != nil || !stopped {
		t.Errorf("%v, stopped %v", err, stopped)
	}
}

func readInvoked(t *testing.T, client *bedrockruntime.Client) {
	out, err := client.InvokeModelWithResponseStream(context.Background(), &bedrockruntime.InvokeModelWithResponseStreamInput{
		ModelId: aws.String("m"), Body: []byte("{}"),
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for event := range out.GetStream().Events() {
		chunk, ok := event.(*types.ResponseStreamMemberChunk)
		if !ok || !json.Valid(chunk.Value.Bytes) {
			t.Errorf("event %d: %+v", n, event)
		}
		n++
	}
	if err := out.GetStream().Err(); err != nil || n == 0 {
		t.Errorf("%v after %d events", err, n)
	}
}
