package emulatortest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
)

// Usage is what was asked of the services.
type Usage struct {
	// Calls by service and operation: "s3 PutObject".
	Calls map[string]int
	// ReadUnits and WriteUnits of DynamoDB.
	ReadUnits, WriteUnits float64
	// Received and Sent are the bytes of S3's objects that went through this process.
	Received, Sent int64
}

// Of is how many calls went to these operations.
func (u Usage) Of(operations ...string) int {
	n := 0
	for _, o := range operations {
		n += u.Calls[o]
	}
	return n
}

// String lists the calls.
func (u Usage) String() string {
	var b strings.Builder
	for _, o := range slices.Sorted(maps.Keys(u.Calls)) {
		fmt.Fprintf(&b, "%s %d, ", o, u.Calls[o])
	}
	fmt.Fprintf(&b, "%.0f read units, %.0f write units, %d bytes received, %d sent", u.ReadUnits, u.WriteUnits, u.Received, u.Sent)
	return b.String()
}

// Meter is a transport that counts. The zero value counts from nothing.
type Meter struct {
	mu  sync.Mutex
	now Usage
}

// Taken returns what was counted since the last time.
func (m *Meter) Taken() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.now
	m.now = Usage{}
	return u
}

var base = sync.OnceValue(awsclienttest.Transport)

// RoundTrip implements http.RoundTripper.
func (m *Meter) RoundTrip(r *http.Request) (*http.Response, error) {
	service, operation := name(r)
	if service == "dynamodb" {
		return m.database(r, operation)
	}
	m.count(func(u *Usage) {
		u.Calls[service+" "+operation]++
		if service == "s3" && r.Method == http.MethodPut {
			u.Sent += r.ContentLength
		}
	})
	res, err := base().RoundTrip(r)
	if err == nil && service == "s3" && r.Method == http.MethodGet {
		res.Body = &countedBody{res.Body, m}
	}
	return res, err
}

func (m *Meter) count(add func(u *Usage)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now.Calls == nil {
		m.now.Calls = map[string]int{}
	}
	add(&m.now)
}

type countedBody struct {
	io.ReadCloser
	m *Meter
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.m.count(func(u *Usage) { u.Received += int64(n) })
	return n, err
}

// name tells service and operation, as the SDK names them.
func name(r *http.Request) (service, operation string) {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		api, operation, _ := strings.Cut(target, ".")
		api, _, _ = strings.Cut(api, "_")
		return strings.ToLower(strings.TrimPrefix(api, "Amazon")), operation
	}
	if id := r.URL.Query().Get("x-id"); id != "" {
		return "s3", id
	}
	_, uploads := r.URL.Query()["uploads"]
	_, deletes := r.URL.Query()["delete"]
	switch {
	case r.Method == http.MethodHead:
		return "s3", "HeadObject"
	case r.Method == http.MethodPost && uploads:
		return "s3", "CreateMultipartUpload"
	case r.Method == http.MethodPost && deletes:
		return "s3", "DeleteObjects"
	case r.Method == http.MethodPost:
		return "s3", "CompleteMultipartUpload"
	case r.Method == http.MethodGet && uploads:
		return "s3", "ListMultipartUploads"
	}
	return "s3", "ListObjectsV2"
}

// database has the answer say what the call consumed.
func (m *Meter) database(r *http.Request, operation string) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var call struct {
		RequestItems map[string]struct{ Keys []json.RawMessage }
	}
	if err := json.Unmarshal(body, &call); err != nil {
		return nil, err
	}
	body = bytes.Replace(body, []byte("{"), []byte(`{"ReturnConsumedCapacity":"TOTAL",`), 1)
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res, err := base().RoundTrip(out)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	units, told, err := consumed(answer)
	if err != nil {
		return nil, err
	}
	if !told { // the emulator is silent about batches: a unit for each item of up to 4 KB
		for _, table := range call.RequestItems {
			units += float64(len(table.Keys))
		}
	}
	m.count(func(u *Usage) {
		u.Calls["dynamodb "+operation]++
		switch operation {
		case "GetItem", "BatchGetItem", "Query":
			u.ReadUnits += units
		default:
			u.WriteUnits += units
		}
	})
	return res, nil
}

// consumed reads what an answer says: one table's units, or a list of them.
func consumed(answer []byte) (units float64, told bool, err error) {
	type capacity struct{ CapacityUnits float64 }
	var says struct{ ConsumedCapacity json.RawMessage }
	if err := json.Unmarshal(answer, &says); err != nil || says.ConsumedCapacity == nil {
		return 0, false, err
	}
	var list []capacity
	if json.Unmarshal(says.ConsumedCapacity, &list) != nil {
		var one capacity
		if err := json.Unmarshal(says.ConsumedCapacity, &one); err != nil {
			return 0, false, err
		}
		list = append(list, one)
	}
	for _, c := range list {
		units += c.CapacityUnits
	}
	return units, true, nil
}

// Plus adds two usages up.
func (u Usage) Plus(v Usage) Usage {
	sum := Usage{
		Calls: maps.Clone(u.Calls), ReadUnits: u.ReadUnits + v.ReadUnits, WriteUnits: u.WriteUnits + v.WriteUnits,
		Received: u.Received + v.Received, Sent: u.Sent + v.Sent,
	}
	if sum.Calls == nil {
		sum.Calls = map[string]int{}
	}
	for o, n := range v.Calls {
		sum.Calls[o] += n
	}
	return sum
}
