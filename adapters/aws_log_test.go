package adapters

import "testing"

// TestAWSSpeaksToTheLog: the SDK's own words do not go to stderr as they are.
func TestAWSSpeaksToTheLog(t *testing.T) {
	c, err := awsSource{region: "us-east-1"}.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.Logger != (awsLog{}) {
		t.Errorf("the SDK logs to %T", c.Logger)
	}
}
