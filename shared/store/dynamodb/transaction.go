package dynamodb

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// maxTransaction is how many items TransactWriteItems changes at most.
const maxTransaction = 100

// condition is what must hold of an item for a write to happen; the zero value is nothing.
type condition struct {
	expression string
	names      map[string]string
	values     map[string]types.AttributeValue
}

// absent: the item is not there.
func absent() condition {
	return condition{expression: "attribute_not_exists(#pk)", names: map[string]string{"#pk": partitionKey}}
}

// hasNumber: an attribute has the value that was read.
func hasNumber(name string, n int64) condition {
	return condition{
		expression: "#was = :was", names: map[string]string{"#was": name},
		values: map[string]types.AttributeValue{":was": number(n)},
	}
}

func (c condition) text() *string {
	if c.expression == "" {
		return nil
	}
	return &c.expression
}

// transaction is writes that happen together or not at all.
type transaction struct {
	table string
	items []types.TransactWriteItem
	err   error // of the first item that cannot be written
}

func (t *transaction) put(i item, c condition) {
	t.err = cmp.Or(t.err, i.check())
	t.items = append(t.items, types.TransactWriteItem{Put: &types.Put{
		TableName: &t.table, Item: i,
		ConditionExpression: c.text(), ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values,
	}})
}

func (t *transaction) remove(k key) {
	t.items = append(t.items, types.TransactWriteItem{Delete: &types.Delete{TableName: &t.table, Key: k.attributes()}})
}

// add adds to a number of an item, and makes both when they are not there.
func (t *transaction) add(k key, name string, n int64) {
	t.items = append(t.items, types.TransactWriteItem{Update: &types.Update{
		TableName: &t.table, Key: k.attributes(), UpdateExpression: aws.String("ADD #n :n"),
		ExpressionAttributeNames: map[string]string{"#n": name}, ExpressionAttributeValues: item{":n": number(n)},
	}})
}

// addTwo is add for two numbers of one item, which a transaction must not name twice.
func (t *transaction) addTwo(k key, first string, a int64, second string, b int64) {
	t.items = append(t.items, types.TransactWriteItem{Update: &types.Update{
		TableName: &t.table, Key: k.attributes(), UpdateExpression: aws.String("ADD #a :a, #b :b"),
		ExpressionAttributeNames:  map[string]string{"#a": first, "#b": second},
		ExpressionAttributeValues: item{":a": number(a), ":b": number(b)},
	}})
}

// commit writes the transaction once, however often it is sent. errStale when a condition does not hold.
func (s *Store) commit(ctx context.Context, t *transaction) error {
	if t.err != nil {
		return t.err
	}
	if len(t.items) > maxTransaction {
		return fmt.Errorf("a change of %d items: the database takes %d at once", len(t.items), maxTransaction)
	}
	in := &sdk.TransactWriteItemsInput{ClientRequestToken: aws.String(rand.Text()), TransactItems: t.items}
	return s.call(ctx, func() error {
		_, err := s.db.TransactWriteItems(ctx, in)
		return err
	})
}
