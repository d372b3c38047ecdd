package dynamodb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// meter is a transport that judges each call and counts what it consumed.
type meter struct {
	base http.RoundTripper

	mu       sync.Mutex
	broken   []string // rules that calls broke
	calls    int
	consumed float64 // units
}

// A call as it is sent; transactions hold several.
type sent struct {
	TransactItems []map[string]sentItem
	RequestItems  map[string]struct {
		ConsistentRead bool
		Keys           []json.RawMessage
	}
	sentItem
	ConsistentRead bool
}

type sentItem struct {
	KeyConditionExpression, ConditionExpression, UpdateExpression, FilterExpression, ProjectionExpression string
}

// operations that the store uses; Scan is none of them.
var operations = []string{"GetItem", "BatchGetItem", "Query", "PutItem", "TransactWriteItems"}

// bareName is a word in an expression that is neither a placeholder nor one of the expressions' own words.
var bareName = regexp.MustCompile(`(^|[\s(,])[A-Za-z_]\w*`)

var expressionWords = []string{"AND", "BETWEEN", "ADD", "SET", "REMOVE", "attribute_not_exists", "attribute_exists"}

// RoundTrip implements http.RoundTripper.
func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	keys, err := m.judge(operation, body)
	if err != nil {
		return nil, err
	}
	body = bytes.Replace(body, []byte("{"), []byte(`{"ReturnConsumedCapacity":"TOTAL",`), 1)
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res, err := m.base.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	return res, m.count(answer, keys)
}

// judge returns how many items a batch asks for.
func (m *meter) judge(operation string, body []byte) (keys int, err error) {
	var call sent
	if err := json.Unmarshal(body, &call); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	complain := func(format string, args ...any) {
		m.broken = append(m.broken, operation+": "+fmt.Sprintf(format, args...))
	}
	consistent := true
	switch operation {
	case "GetItem", "Query":
		consistent = call.ConsistentRead
	case "BatchGetItem":
		for _, table := range call.RequestItems {
			consistent = table.ConsistentRead
			keys = len(table.Keys)
		}
	}
	if !slices.Contains(operations, operation) {
		complain("is not used by the store")
	}
	if !consistent {
		complain("reads what may be old")
	}
	items := []sentItem{call.sentItem}
	for _, t := range call.TransactItems {
		for _, i := range t {
			items = append(items, i)
		}
	}
	for _, i := range items {
		for _, e := range []string{i.KeyConditionExpression, i.ConditionExpression, i.UpdateExpression, i.FilterExpression, i.ProjectionExpression} {
			for _, word := range bareName.FindAllString(e, -1) {
				if !slices.Contains(expressionWords, strings.TrimLeft(word, " (,\t\n")) {
					complain("%q names an attribute itself: it may be a reserved word some day", e)
				}
			}
		}
	}
	return keys, nil
}

// capacity is what an answer says it consumed: one table, or a list of them.
type capacity struct{ CapacityUnits float64 }

// count adds what an answer consumed. Not every emulator tells it of a batch: a unit for each item of up to 4 KB.
func (m *meter) count(answer []byte, keys int) error {
	var told struct{ ConsumedCapacity json.RawMessage }
	if err := json.Unmarshal(answer, &told); err != nil {
		return err
	}
	var list []capacity
	if len(told.ConsumedCapacity) > 0 {
		var one capacity
		if err := json.Unmarshal(told.ConsumedCapacity, &list); err != nil {
			if err := json.Unmarshal(told.ConsumedCapacity, &one); err != nil {
				return err
			}
			list = append(list, one)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if len(list) == 0 {
		list = append(list, capacity{float64(keys)})
	}
	for _, c := range list {
		m.consumed += c.CapacityUnits
	}
	return nil
}

// spend returns what was consumed since the last time.
func (m *meter) spend() (calls int, units float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls, units = m.calls, m.consumed
	m.calls, m.consumed = 0, 0
	return calls, units
}
