package dynamodb

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// blockSize is how many ids share one count: a page is found by walking blocks, then at most one block's ids.
const blockSize = 1000

// derived is every item that follows from a request: what it is listed and found by, and what it keeps from
// being pruned. A change of a request writes the difference.
type derived struct {
	items map[key]item
	// counted are the values whose blocks count the request.
	counted map[store.FilterValue]bool
}

// derive takes a request with its history.
func derive(req *request.Request) derived {
	d := derived{items: map[key]item{}, counted: map[store.FilterValue]bool{}}
	if req == nil {
		return d
	}
	for _, v := range store.FilterValues(*req) {
		d.list(req, v)
		d.counted[v] = v.Filter != store.FilterAll // those are counted by the last id
	}
	d.put(key{latestPartition(store.RepoName(req.Repo), req.Ref), sortID(req.ID)})
	for _, blob := range store.References(req) {
		d.put(key{referencePartition(blob), sortID(req.ID)})
	}
	if req.State == request.StateComplete || req.State == request.StateFailed {
		d.put(key{expiresPartition(req.State), sortTimed(req.Updated, req.ID)})
	}
	if m, over := store.MetricOf(req.ID, req.History); over {
		d.metric(req, m)
	}
	return d
}

func (d derived) put(k key) item {
	i := k.attributes()
	d.items[k] = i
	return i
}

// list makes the entry of a list. It has the creation time, so that lists of a period need not read requests.
func (d derived) list(req *request.Request, v store.FilterValue) item {
	i := d.put(key{listPartition(v), sortID(req.ID)})
	i[attrCreated] = micros(req.Created)
	return i
}

// metric makes the entry of the list of metrics, and the short one that summaries read by time.
func (d derived) metric(req *request.Request, m store.Metric) {
	i := d.list(req, finishedValue)
	d.counted[finishedValue] = true
	i[attrState], i[attrReason], i[attrAt] = text(string(m.FinalState)), text(m.FinalStateReason), micros(m.Finished)
	i[attrDuration], i[attrQueued] = number(m.Duration.Microseconds()), number(m.TimeInQueue.Microseconds())

	short := d.put(key{metricPartition, sortTimed(m.Finished, req.ID)})
	for _, name := range []string{attrState, attrDuration, attrQueued} {
		short[name] = i[name]
	}
	if req.ErrorOrigin != "" {
		short[attrOrigin], short[attrType] = text(req.ErrorOrigin), text(req.ErrorType)
	}
}

// finishedValue is the list of requests that have a metric.
var finishedValue = store.FilterValue{Filter: filterFinished}

// move writes what is different between two versions of a request, the first of which may be nil.
func (t *transaction) move(old, now *request.Request) {
	before, after := derive(old), derive(now)
	for _, k := range sortedKeys(before.items) {
		if after.items[k] == nil {
			t.remove(k)
		}
	}
	for _, k := range sortedKeys(after.items) {
		if !reflect.DeepEqual(before.items[k], after.items[k]) {
			t.put(after.items[k], condition{})
		}
	}
	block := now.ID / blockSize
	for v := range before.counted {
		if before.counted[v] && !after.counted[v] {
			t.add(blockKey(v, block), attrCount, -1)
		}
	}
	for v := range after.counted {
		if after.counted[v] && !before.counted[v] {
			t.add(blockKey(v, block), attrCount, 1)
		}
	}
}

func sortedKeys(items map[key]item) []key {
	return slices.SortedFunc(maps.Keys(items), func(a, b key) int {
		return cmp.Or(strings.Compare(a.pk, b.pk), strings.Compare(a.sk, b.sk))
	})
}
