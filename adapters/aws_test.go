package adapters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/sluicegw/sluice/internal/sigv4test"
)

// arrived is out as a server gets it.
func arrived(t *testing.T, out *Outgoing) (*http.Request, string) {
	t.Helper()
	path, _, _ := strings.Cut(out.Path, "?")
	r := &http.Request{Method: out.Method, Host: out.Authority, Header: http.Header{}}
	for _, h := range out.Headers {
		r.Header.Add(h.Name, h.Value)
	}
	return r, path
}

func TestSignaturesAreTrue(t *testing.T) {
	const secret = "secret/with+signs="
	keys := map[string]string{"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": secret, "aws_region_name": "eu-west-1"}
	session := map[string]string{"aws_session_token": "token==/+"}
	for k, v := range keys {
		session[k] = v
	}
	for _, c := range []struct {
		name, path string
		p          Params
		body       string
	}{
		{"converse", "/model/anthropic.claude-opus-4-8/converse", Params{Model: "bedrock/anthropic.claude-opus-4-8", Settings: keys}, askWhole},
		{"stream", "/model/us.amazon.nova-pro-v1%3A0/converse-stream", Params{Model: "bedrock/us.amazon.nova-pro-v1:0", Settings: session}, askStream},
		{"arn", "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Aapplication-inference-profile%2Fabc/converse", Params{Model: "bedrock/arn:aws:bedrock:eu-west-1:1:application-inference-profile/abc", Settings: session}, askWhole},
		{"invoke", "/model/amazon.titan-text-express-v1/invoke", Params{Model: "bedrock/amazon.titan-text-express-v1", Settings: keys}, askWhole},
		{"colon", "/model/meta.llama3-70b-instruct-v1:0/invoke-with-response-stream", Params{Model: "bedrock/invoke/meta.llama3-70b-instruct-v1:0", Settings: keys}, askStream},
		{"headers", "/model/x.y/converse", Params{Model: "bedrock/x.y", Settings: keys, ExtraHeaders: map[string]string{
			"X-Amzn-Bedrock-Trace": "ENABLED", "x-own": "1", "x-amz-date": "yesterday"}}, askWhole},
		{"endpoint", "/some/base/model/x.y/converse", Params{Model: "bedrock/x.y", Settings: keys, APIBase: "http://localhost:8080/some/base/"}, askWhole},
	} {
		target, err := New(c.p)
		if err != nil {
			t.Fatal(err)
		}
		r, e := Parse(Chat, []byte(c.body))
		if e != nil {
			t.Fatal(e)
		}
		out, e := target.Request(r)
		if e != nil {
			t.Fatalf("%s: %s", c.name, e)
		}
		req, path := arrived(t, out)
		if path != c.path {
			t.Errorf("%s: path %s", c.name, path)
		}
		got, err := sigv4test.Verify(req, path, out.Body, secret)
		if err != nil || got.Region != "eu-west-1" || got.Service != "bedrock" || got.KeyID != "AKIDEXAMPLE" {
			t.Errorf("%s: %v %+v", c.name, err, got)
		}
		if slices.Contains(got.Headers, "accept") || slices.Contains(got.Headers, "content-length") {
			t.Errorf("%s: signs what proxies may change: %v", c.name, got.Headers)
		}
		if (req.Header.Get("x-amz-security-token") != "") != (c.p.Settings["aws_session_token"] != "") {
			t.Errorf("%s: %v", c.name, req.Header)
		}
		if len(req.Header.Values("x-amz-date")) != 1 {
			t.Errorf("%s: %v", c.name, req.Header)
		}
		if _, err := sigv4test.Verify(req, path, append(out.Body, ' '), secret); err == nil {
			t.Errorf("%s: another body passes", c.name)
		}
		if _, err := sigv4test.Verify(req, path, out.Body, "another"); err == nil {
			t.Errorf("%s: another secret passes", c.name)
		}
	}
}

// identity is an awsCredentials whose fetch is f.
func identity(f func() (aws.Credentials, error)) *awsCredentials {
	return &awsCredentials{fetch: func(context.Context) (aws.Credentials, error) { return f() }}
}

// setClock moves the package's clock.
func setClock(t *testing.T) *atomic.Int64 {
	t.Helper()
	var now atomic.Int64
	now.Store(1700000000)
	was := clock
	clock = func() time.Time { return time.Unix(now.Load(), 0) }
	t.Cleanup(func() { clock = was })
	return &now
}

func TestCredentialsAreFetchedOnceAndAhead(t *testing.T) {
	now := setClock(t)
	var fetches atomic.Int32
	release := make(chan struct{}, 100)
	c := identity(func() (aws.Credentials, error) {
		n := fetches.Add(1)
		<-release
		return aws.Credentials{AccessKeyID: fmt.Sprint("key", n), CanExpire: true, Expires: clock().Add(time.Hour)}, nil
	})
	release <- struct{}{}
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if got, err := c.get(); err != nil || got.AccessKeyID != "key1" {
				t.Errorf("%v %v", got.AccessKeyID, err)
			}
		})
	}
	wait.Wait()
	if fetches.Load() != 1 {
		t.Fatalf("%d fetches", fetches.Load())
	}
	now.Add(3600 - 200) // they run out in 200 s: nobody waits for the next ones
	for range 20 {
		if got, err := c.get(); err != nil || got.AccessKeyID != "key1" {
			t.Fatalf("%v %v", got.AccessKeyID, err)
		}
	}
	release <- struct{}{}
	for c.refreshing.Load() {
		time.Sleep(time.Millisecond)
	}
	if got, _ := c.get(); got.AccessKeyID != "key2" || fetches.Load() != 2 {
		t.Errorf("%s after %d fetches", got.AccessKeyID, fetches.Load())
	}
	now.Add(7200) // everything has run out: this call waits
	release <- struct{}{}
	if got, _ := c.get(); got.AccessKeyID != "key3" {
		t.Errorf("%s", got.AccessKeyID)
	}
}

func TestCredentialsThatFail(t *testing.T) {
	now := setClock(t)
	n := 0
	c := identity(func() (aws.Credentials, error) { n++; return aws.Credentials{}, errors.New("no route") })
	for range 5 {
		if _, err := c.get(); err == nil || err.Error() != "no route" {
			t.Error(err)
		}
	}
	if n != 1 {
		t.Errorf("%d fetches at once", n)
	}
	now.Add(3)
	_, _ = c.get()
	if n != 2 {
		t.Errorf("%d fetches after a pause", n)
	}
}

// stsServer answers AssumeRole and AssumeRoleWithWebIdentity, and notes what it was asked.
func stsServer(t *testing.T, asked *[]string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		action := r.Form.Get("Action")
		*asked = append(*asked, strings.Join([]string{action, r.Form.Get("RoleArn"), r.Form.Get("RoleSessionName"),
			r.Form.Get("ExternalId"), r.Form.Get("WebIdentityToken")}, " "))
		if r.Form.Get("RoleArn") == "arn:denied" {
			w.WriteHeader(403)
			fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey><SessionToken>role-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></%[1]sResult></%[1]sResponse>`, action)
	}))
	t.Cleanup(s.Close)
	return s
}

// noAWS keeps this machine's own credentials out of a test.
func noAWS(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
}

func fetchWith(t *testing.T, set map[string]string) (aws.Credentials, error) {
	t.Helper()
	c, err := newAWSCredentials(set, "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	return c.get()
}

func TestWhereCredentialsComeFrom(t *testing.T) {
	noAWS(t)
	var asked []string
	s := stsServer(t, &asked)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("a.b.c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	files := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(files, []byte("[work]\naws_access_key_id = AKIDWORK\naws_secret_access_key = work-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", files)

	role := map[string]string{"aws_access_key_id": "AKID", "aws_secret_access_key": "s", "aws_role_name": "arn:role",
		"aws_session_name": "me", "aws_external_id": "x1", "aws_sts_endpoint": s.URL}
	if got, err := fetchWith(t, role); err != nil || got.AccessKeyID != "ASIAROLE" || got.SessionToken != "role-token" || !got.CanExpire {
		t.Errorf("role: %v %v", got.AccessKeyID, err)
	}
	web := map[string]string{"aws_web_identity_token": "oidc/file/" + token, "aws_role_name": "arn:web", "aws_sts_endpoint": s.URL}
	if got, err := fetchWith(t, web); err != nil || got.AccessKeyID != "ASIAROLE" {
		t.Errorf("web identity: %v %v", got.AccessKeyID, err)
	}
	if want := []string{"AssumeRole arn:role me x1 ", "AssumeRoleWithWebIdentity arn:web sluice  a.b.c"}; !slices.Equal(asked, want) {
		t.Errorf("STS was asked %q", asked)
	}
	if got, err := fetchWith(t, map[string]string{"aws_profile_name": "work"}); err != nil || got.AccessKeyID != "AKIDWORK" {
		t.Errorf("profile: %v %v", got.AccessKeyID, err)
	}
	_, err := fetchWith(t, map[string]string{"aws_access_key_id": "AKID", "aws_secret_access_key": "hush-hush", "aws_role_name": "arn:denied", "aws_sts_endpoint": s.URL})
	if err == nil || !strings.Contains(err.Error(), "AccessDenied") || strings.Contains(err.Error(), "hush") {
		t.Errorf("denied: %v", err)
	}
	if _, err := fetchWith(t, map[string]string{"aws_profile_name": "nobody"}); err == nil {
		t.Error("a profile that is not there")
	}
	if _, err := fetchWith(t, map[string]string{"aws_region_name": "none at all"}); err == nil || !strings.Contains(err.Error(), "aws_access_key_id") {
		t.Errorf("nothing at all: %v", err)
	}

	container := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"AccessKeyId": "ASIATASK", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"})
	}))
	defer container.Close()
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.URL+"/creds")
	if got, err := fetchWith(t, map[string]string{"aws_region_name": "container"}); err != nil || got.AccessKeyID != "ASIATASK" {
		t.Errorf("container: %v %v", got.AccessKeyID, err)
	}
}

func TestIdentityTokens(t *testing.T) {
	t.Setenv("MY_TOKEN", "x.y.z")
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/t", []byte("f.i.l"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MY_PATH", dir+"/t")
	for where, want := range map[string]string{
		"oidc/env/MY_TOKEN": "x.y.z", "oidc/env_path/MY_PATH": "f.i.l", "oidc/file/" + dir + "/t": "f.i.l", dir + "/t": "f.i.l", "a.b.c": "a.b.c",
		"oidc/env/NOT_THERE": "", "oidc/nonsense/x": "", "oidc/": "", "hello": "", "oidc/file/" + dir + "/none": "",
	} {
		got, err := identityToken{context.Background(), where}.GetIdentityToken()
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q %v", where, got, err)
		}
	}
}

func TestBedrockAPIKeys(t *testing.T) {
	target, err := New(Params{Model: "bedrock/x.y", APIKey: "bedrock-api-key-0123"})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := Parse(Chat, []byte(askWhole))
	out, e := target.Request(r)
	if e != nil {
		t.Fatal(e)
	}
	req, _ := arrived(t, out)
	if req.Header.Get("authorization") != "Bearer bedrock-api-key-0123" || req.Header.Get("x-amz-date") != "" {
		t.Errorf("%v", req.Header)
	}
	if target.MissingCredential() != "" {
		t.Error("AWS's credentials may come from anywhere")
	}
}

func TestNoCredentialsInErrorsOfAWS(t *testing.T) {
	target, err := New(Params{Model: "bedrock/x.y", Settings: map[string]string{
		"aws_access_key_id": "AKID1", "aws_secret_access_key": "hush-hush-secret", "aws_session_token": "hush-hush-token"}})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := Parse(Chat, []byte(askWhole))
	if _, e := target.Request(r); e != nil {
		t.Fatal(e)
	}
	p := target.Reply(r, "m")
	p.Begin(403, headers("x-amzn-errortype", "UnrecognizedClientException:http://x"))
	_, e := p.Whole([]byte(`{"message":"the token hush-hush-token and hush-hush-secret"}`))
	if e == nil || strings.Contains(e.Message, "hush") || e.Status != 401 {
		t.Errorf("%v", e)
	}
	if s := fmt.Sprintf("%v %+v %#v", target, target, target); strings.Contains(s, "hush") {
		t.Errorf("%s", s)
	}
}
