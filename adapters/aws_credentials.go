package adapters

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// awsCredentials are the credentials of one AWS identity. They are fetched by the first call that needs them,
// which waits; later ones are served from memory, and what runs out is replaced ahead of time, in the
// background.
type awsCredentials struct {
	fetch func(context.Context) (aws.Credentials, error)

	current    atomic.Pointer[fetched]
	previous   atomic.Pointer[fetched] // which calls under way were signed with
	refreshing atomic.Bool

	mu     sync.Mutex // held while a caller waits for a fetch
	failed time.Time  // when the last fetch failed
	err    error
}

type fetched struct {
	credentials aws.Credentials
	at          time.Time
}

const (
	refreshAhead = 5 * time.Minute  // before they expire
	rereadAfter  = 10 * time.Minute // files and variables may be changed by somebody
	lastMoment   = 10 * time.Second // of life left, after which they are not used any more
	fetchTimeout = 10 * time.Second
	failurePause = 2 * time.Second // in which a failure is not tried again
)

// newAWSCredentials finds out where a deployment's credentials come from, in LiteLLM's order: a web identity, a
// role, a profile, keys, and what AWS's SDKs find by themselves (variables, files, container, instance role).
// Nothing is fetched yet. Deployments with the same settings share one.
func newAWSCredentials(set map[string]string, region string) (*awsCredentials, error) {
	key, secret := set["aws_access_key_id"], set["aws_secret_access_key"]
	if (key == "") != (secret == "") {
		return nil, errors.New("aws_access_key_id and aws_secret_access_key belong together: one of them is missing")
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if err := headerValue(set[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	s := awsSource{set: set, region: region}
	if set["aws_web_identity_token"] != "" && set["aws_role_name"] == "" {
		return nil, errors.New("aws_web_identity_token needs aws_role_name: the ARN of the role to take on")
	}
	return shared.of(set, region, s.fetch), nil
}

// shared are the identities in use, so that a reload of the configuration needs no credentials anew.
var shared identities

type identities struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*awsCredentials
}

// mostIdentities bounds the memory; the deployments keep their own.
const mostIdentities = 1024

func (i *identities) of(set map[string]string, region string, fetch func(context.Context) (aws.Credentials, error)) *awsCredentials {
	h := sha256.New()
	fmt.Fprintf(h, "%q", region)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if strings.HasPrefix(name, "aws_") {
			fmt.Fprintf(h, "%q%q", name, set[name])
		}
	}
	key := [sha256.Size]byte(h.Sum(nil))
	i.mu.Lock()
	defer i.mu.Unlock()
	if c := i.all[key]; c != nil {
		return c
	}
	if i.all == nil || len(i.all) >= mostIdentities {
		i.all = map[[sha256.Size]byte]*awsCredentials{}
	}
	c := &awsCredentials{fetch: fetch}
	i.all[key] = c
	return c
}

// get is the credentials to sign with now.
func (c *awsCredentials) get() (aws.Credentials, error) {
	now := clock()
	if f := c.current.Load(); f != nil {
		if !f.due(now) {
			return f.credentials, nil
		}
		if f.good(now) {
			if c.refreshing.CompareAndSwap(false, true) {
				go c.refresh()
			}
			return f.credentials, nil
		}
	}
	return c.wait()
}

// due tells whether others should be fetched; good, whether these can still be used.
func (f *fetched) due(now time.Time) bool {
	if f.credentials.CanExpire {
		return now.After(f.credentials.Expires.Add(-refreshAhead))
	}
	return f.credentials.Source != staticSource && now.After(f.at.Add(rereadAfter))
}

func (f *fetched) good(now time.Time) bool {
	return !f.credentials.CanExpire || now.Before(f.credentials.Expires.Add(-lastMoment))
}

func (c *awsCredentials) refresh() {
	defer c.refreshing.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	// What fails is tried again by the next call, as long as the old ones are good.
	if got, err := c.fetch(ctx); err == nil {
		c.previous.Store(c.current.Swap(&fetched{got, clock()}))
	}
}

// wait fetches credentials; calls that come meanwhile wait for the same ones.
func (c *awsCredentials) wait() (aws.Credentials, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := clock()
	if f := c.current.Load(); f != nil && f.good(now) {
		return f.credentials, nil
	}
	if c.err != nil && now.Before(c.failed.Add(failurePause)) {
		return aws.Credentials{}, c.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	got, err := c.fetch(ctx)
	if err != nil {
		c.err, c.failed = awsReason(err), clock()
		return aws.Credentials{}, c.err
	}
	c.err = nil
	c.previous.Store(c.current.Swap(&fetched{got, clock()}))
	return got, nil
}

// awsReason says why there are no credentials, without what the SDK adds: requests, hosts, nested operations.
func awsReason(err error) error {
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		return fmt.Errorf("AWS answered %s: %s", api.ErrorCode(), clipText(strings.TrimSuffix(api.ErrorMessage(), "."), 300))
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("AWS did not answer in time")
	case strings.Contains(err.Error(), "no EC2 IMDS role found"), strings.Contains(err.Error(), "failed to refresh cached credentials"):
		return errors.New("none were found: set aws_access_key_id and aws_secret_access_key, aws_profile_name or aws_role_name, or run where AWS provides a role")
	}
	return errors.New(clipText(err.Error(), 300))
}

const staticSource = credentials.StaticCredentialsName

// awsSource fetches credentials as a deployment's settings say.
type awsSource struct {
	set    map[string]string
	region string
}

func (s awsSource) fetch(ctx context.Context) (aws.Credentials, error) {
	set := s.set
	role := set["aws_role_name"]
	if set["aws_web_identity_token"] != "" {
		return s.webIdentity(ctx, role)
	}
	// In a pod that has the role already there is nothing to take on.
	if role != "" && (set["aws_access_key_id"] != "" || role != os.Getenv("AWS_ROLE_ARN")) {
		return s.assumeRole(ctx, role)
	}
	return s.base(ctx)
}

// base is the identity without any role.
func (s awsSource) base(ctx context.Context) (aws.Credentials, error) {
	c, err := s.load(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	if c.Credentials == nil {
		return aws.Credentials{}, errors.New("none were found")
	}
	return c.Credentials.Retrieve(ctx)
}

// load reads files and variables anew each time: they may have changed.
func (s awsSource) load(ctx context.Context) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{config.WithRegion(s.region), config.WithLogger(awsLog{})}
	switch {
	case s.set["aws_profile_name"] != "" && s.set["aws_role_name"] == "":
		options = append(options, config.WithSharedConfigProfile(s.set["aws_profile_name"]))
	case s.set["aws_access_key_id"] != "":
		return aws.Config{Region: s.region, Credentials: credentials.NewStaticCredentialsProvider(
			s.set["aws_access_key_id"], s.set["aws_secret_access_key"], s.set["aws_session_token"])}, nil
	case s.set["aws_profile_name"] != "":
		options = append(options, config.WithSharedConfigProfile(s.set["aws_profile_name"]))
	}
	return config.LoadDefaultConfig(ctx, options...)
}

func (s awsSource) assumeRole(ctx context.Context, role string) (aws.Credentials, error) {
	c, err := s.load(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	p := stscreds.NewAssumeRoleProvider(s.sts(c), role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = s.session()
		if id := s.set["aws_external_id"]; id != "" {
			o.ExternalID = &id
		}
	})
	return p.Retrieve(ctx)
}

func (s awsSource) webIdentity(ctx context.Context, role string) (aws.Credentials, error) {
	p := stscreds.NewWebIdentityRoleProvider(s.sts(aws.Config{Region: s.region}), role,
		identityToken{ctx, s.set["aws_web_identity_token"]},
		func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = s.session() })
	return p.Retrieve(ctx)
}

func (s awsSource) session() string { return firstOf(s.set["aws_session_name"], "sluice") }

func (s awsSource) sts(c aws.Config) *sts.Client {
	return sts.NewFromConfig(c, func(o *sts.Options) {
		if endpoint := s.set["aws_sts_endpoint"]; endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
	})
}

// scrub takes the deployment's AWS credentials out of a text: AWS repeats the session token it refuses.
func (t *awsTarget) scrub(s string) string {
	if t == nil || t.credentials == nil {
		return s
	}
	for _, f := range [...]*fetched{t.credentials.current.Load(), t.credentials.previous.Load()} {
		if f == nil {
			continue
		}
		for _, secret := range [...]string{f.credentials.SecretAccessKey, f.credentials.SessionToken} {
			if secret != "" {
				s = strings.ReplaceAll(s, secret, "***")
			}
		}
	}
	return s
}
