package dynamodb

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/cachito-serverless/cachito/shared/store"
)

// Names of attributes: they are part of each item's size, and so of its price.
const (
	attrBody     = "body" // of a row: the request without its history, JSON, deflated
	attrVersion  = "v"    // of a row: how often it was written
	attrWriter   = "w"    // of a row: which write made it
	attrHistory  = "h"    // of a row: how many entries its history has
	attrState    = "s"
	attrReason   = "r"
	attrAt       = "at"
	attrID       = "id"
	attrCreated  = "c" // of an entry of a list
	attrLow      = "lo"
	attrHigh     = "hi"
	attrCount    = "n"
	attrDuration = "d"
	attrQueued   = "q"
	attrOrigin   = "o"
	attrType     = "t"
	attrPath     = "p"
	attrBlob     = "b"
)

// item is an item's attributes.
type item map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func micros(t time.Time) types.AttributeValue { return number(t.UnixMicro()) }

func (k key) attributes() item { return item{partitionKey: text(k.pk), sortKey: text(k.sk)} }

func (i item) text(name string) string {
	if v, ok := i[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func (i item) bytes(name string) []byte {
	if v, ok := i[name].(*types.AttributeValueMemberB); ok {
		return v.Value
	}
	return nil
}

// number is 0 when the attribute is not there, or not ours.
func (i item) number(name string) int64 {
	v, ok := i[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (i item) time(name string) time.Time { return time.UnixMicro(i.number(name)).UTC() }

func (i item) key() key { return key{i.text(partitionKey), i.text(sortKey)} }

// sortedID is the id at the end of an item's sort key.
func (i item) sortedID() (int64, error) {
	sk := i.text(sortKey)
	id, err := strconv.ParseInt(sk[max(len(sk)-idWidth, 0):], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("item %s %s is damaged: its sort key ends with no id", i.text(partitionKey), sk)
	}
	return id, nil
}

// size is what DynamoDB counts: names and values in UTF-8.
func (i item) size() int {
	total := 0
	for name, v := range i {
		total += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			total += len(v.Value)
		case *types.AttributeValueMemberB:
			total += len(v.Value)
		default:
			total += 21 // a number at most
		}
	}
	return total
}

// check refuses an item that DynamoDB would refuse.
func (i item) check() error {
	if n := i.size(); n > store.MaxItemBytes {
		return fmt.Errorf("item %.100s %.100s would need %d bytes: %w", i.text(partitionKey), i.text(sortKey), n, store.ErrItemTooLarge)
	}
	return nil
}
