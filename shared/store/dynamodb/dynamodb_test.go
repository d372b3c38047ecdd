package dynamodb

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/store/storetest"
)

// TestStore runs the contract, and judges every call that it makes.
func TestStore(t *testing.T) {
	m := &meter{base: whole}
	storetest.Run(t, func(t *testing.T, clock func() time.Time) store.Store {
		return open(t, m, WithClock(clock))
	})
	for _, rule := range m.broken {
		t.Error(rule)
	}
}

// emulator is where the tests find DynamoDB: make test-aws starts one.
func emulator(t testing.TB) string {
	t.Helper()
	url := os.Getenv("AWS_ENDPOINT_URL")
	if url == "" {
		t.Skip("AWS_ENDPOINT_URL is not set: run make test-aws")
	}
	return url
}

// newClient makes a client of the database at url.
func newClient(url string, transport http.RoundTripper) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: &url, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:  &http.Client{Transport: transport},
	})
}

// testPatience is more than the slowest machine needs.
const testPatience = 2 * time.Minute

// open opens a new table, which is gone after the test.
func open(t testing.TB, transport http.RoundTripper, opts ...Option) *Store {
	t.Helper()
	client := newClient(emulator(t), whole)
	table := "cachito-" + rand.Text()
	if err := CreateTables(t.Context(), client, table); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := client.DeleteTable(context.Background(), &sdk.DeleteTableInput{TableName: &table}); err != nil {
			t.Errorf("deleting table %s: %v", table, err)
		}
	})
	return New(newClient(emulator(t), transport), table, append([]Option{WithPatience(testPatience)}, opts...)...)
}
