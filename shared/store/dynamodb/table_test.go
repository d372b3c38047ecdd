package dynamodb

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cachito-serverless/cachito/shared/store"
)

// TestCreateTables: the table has the keys of Table, and making it again leaves its items alone.
func TestCreateTables(t *testing.T) {
	s := open(t, whole)
	if _, err := s.Create(t.Context(), newRequest()); err != nil {
		t.Fatal(err)
	}
	if err := CreateTables(t.Context(), s.db, s.table); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if _, err := s.Get(t.Context(), 1); err != nil {
		t.Errorf("after it: %v", err)
	}
	got, err := s.db.DescribeTable(t.Context(), &sdk.DescribeTableInput{TableName: &s.table})
	if err != nil {
		t.Fatal(err)
	}
	want := Table(s.table)
	unexported := cmpopts.IgnoreUnexported(types.KeySchemaElement{}, types.AttributeDefinition{})
	if diff := cmp.Diff(want.KeySchema, got.Table.KeySchema, unexported); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.AttributeDefinitions, got.Table.AttributeDefinitions, unexported); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

// TestNoTable: a table that is not there is an error at once, of which the health check tells the name.
func TestNoTable(t *testing.T) {
	table := "missing-" + rand.Text()
	s := New(newClient(emulator(t), whole), table)
	for name, call := range map[string]func(context.Context) error{
		"Ping":   s.Ping,
		"Get":    func(ctx context.Context) error { _, err := s.Get(ctx, 1); return err },
		"Create": func(ctx context.Context) error { _, err := s.Create(ctx, newRequest()); return err },
	} {
		err := call(t.Context())
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) || errors.Is(err, store.ErrBusy) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: got %v, want that the table is not there", name, err)
		}
		if name == "Ping" && !strings.Contains(err.Error(), table) {
			t.Errorf("Ping: got %v, want the table's name", err)
		}
	}
}
