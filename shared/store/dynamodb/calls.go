package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/cachito-serverless/cachito/shared/store"
)

// maxBatch is how many items BatchGetItem reads at most.
const maxBatch = 100

// errStale: a condition of a write did not hold, so what was read is not what is there.
var errStale = errors.New("changed since it was read")

// call makes one call until the database answers it, or refuses it for good. What is sent must be harmless
// when it arrives twice. errStale, store.ErrItemTooLarge, store.ErrBusy.
func (s *Store) call(ctx context.Context, do func() error) error {
	for p := s.newPace(); ; {
		err := do()
		if err == nil {
			return nil
		}
		again, err := classify(err)
		if !again {
			return err
		}
		if err := p.wait(ctx, err); err != nil {
			return err
		}
	}
}

// classify says whether the same call may succeed later, and gives the error that it is for us.
func classify(err error) (again bool, _ error) {
	var canceled *types.TransactionCanceledException
	if errors.As(err, &canceled) {
		return classifyCanceled(canceled)
	}
	var condition *types.ConditionalCheckFailedException
	if errors.As(err, &condition) {
		return false, errStale
	}
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return true, err // no answer: a cut connection, a time-out
	}
	switch answer.ErrorCode() {
	case "TransactionConflictException", "TransactionInProgressException", "ProvisionedThroughputExceededException",
		"ThrottlingException", "RequestLimitExceeded", "InternalServerError", "ServiceUnavailable":
		return true, err
	}
	if answer.ErrorFault() == smithy.FaultServer {
		return true, err
	}
	if strings.Contains(answer.ErrorMessage(), "maximum allowed size") {
		return false, fmt.Errorf("%w: %w", store.ErrItemTooLarge, err)
	}
	return false, err
}

// classifyCanceled judges a transaction by what each of its items says.
func classifyCanceled(err *types.TransactionCanceledException) (again bool, _ error) {
	for _, r := range err.CancellationReasons {
		switch aws.ToString(r.Code) {
		case "ConditionalCheckFailed":
			return false, errStale
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			again = true
		case "ValidationError":
			if strings.Contains(aws.ToString(r.Message), "maximum allowed size") {
				return false, fmt.Errorf("%w: %w", store.ErrItemTooLarge, err)
			}
		}
	}
	return again, err
}

// getItem reads one item; nil when there is none.
func (s *Store) getItem(ctx context.Context, k key) (item, error) {
	var out *sdk.GetItemOutput
	err := s.call(ctx, func() (err error) {
		out, err = s.db.GetItem(ctx, &sdk.GetItemInput{TableName: &s.table, Key: k.attributes(), ConsistentRead: aws.Bool(true)})
		return err
	})
	if err != nil || len(out.Item) == 0 {
		return nil, err
	}
	return out.Item, nil
}

// batchGet reads items, in any number. Those that are not there are missing in the answer.
func (s *Store) batchGet(ctx context.Context, keys []key) (map[key]item, error) {
	found := make(map[key]item, len(keys))
	for len(keys) > 0 {
		n := min(len(keys), maxBatch)
		var wanted []map[string]types.AttributeValue
		for _, k := range keys[:n] {
			wanted = append(wanted, k.attributes())
		}
		if err := s.batchGetSome(ctx, wanted, found); err != nil {
			return nil, err
		}
		keys = keys[n:]
	}
	return found, nil
}

// errUnprocessed: the database left a part of a batch for later.
var errUnprocessed = errors.New("not all of a batch was read")

func (s *Store) batchGetSome(ctx context.Context, wanted []map[string]types.AttributeValue, found map[key]item) error {
	for p := s.newPace(); ; {
		before := len(wanted)
		var out *sdk.BatchGetItemOutput
		err := s.call(ctx, func() (err error) {
			out, err = s.db.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
				s.table: {Keys: wanted, ConsistentRead: aws.Bool(true)},
			}})
			return err
		})
		if err != nil {
			return err
		}
		for _, i := range out.Responses[s.table] {
			found[item(i).key()] = i
		}
		wanted = out.UnprocessedKeys[s.table].Keys
		if len(wanted) == 0 {
			return nil
		}
		if len(wanted) < before {
			p = s.newPace() // an answer holds 16 MB at most, so large items take several
		}
		if err := p.wait(ctx, errUnprocessed); err != nil {
			return err
		}
	}
}

// search is a Query of one partition.
type search struct {
	partition string
	// from and to bound the sort key, both inclusive; empty: no bound.
	from, to string
	newest   bool // from the highest sort key down
	limit    int  // 0: all
}

// query calls each with the items found, in order, until it returns false.
func (s *Store) query(ctx context.Context, q search, each func(item) (more bool, err error)) error {
	names := map[string]string{"#pk": partitionKey}
	values := item{":pk": text(q.partition)}
	condition := "#pk = :pk"
	switch {
	case q.from != "" && q.to != "":
		if q.from > q.to {
			return nil
		}
		condition += " AND #sk BETWEEN :from AND :to"
	case q.from != "":
		condition += " AND #sk >= :from"
	case q.to != "":
		condition += " AND #sk <= :to"
	}
	if q.from != "" || q.to != "" {
		names["#sk"] = sortKey
	}
	if q.from != "" {
		values[":from"] = text(q.from)
	}
	if q.to != "" {
		values[":to"] = text(q.to)
	}
	in := &sdk.QueryInput{
		TableName: &s.table, KeyConditionExpression: &condition, ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(!q.newest),
	}
	if q.limit > 0 {
		in.Limit = aws.Int32(int32(min(q.limit, maxQueryLimit)))
	}
	for left := q.limit; ; {
		var out *sdk.QueryOutput
		err := s.call(ctx, func() (err error) {
			out, err = s.db.Query(ctx, in)
			return err
		})
		if err != nil {
			return err
		}
		for _, i := range out.Items {
			more, err := each(i)
			if err != nil || !more {
				return err
			}
			if left--; left == 0 {
				return nil
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// maxQueryLimit is more items than one answer of 1 MB holds.
const maxQueryLimit = 1 << 20
