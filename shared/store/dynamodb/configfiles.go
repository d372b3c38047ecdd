package dynamodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/request"
)

// AddConfigFiles implements store.Store. Each file is an item whose key is made of path and content. Up to
// 100 new ones are added all or none; more in several transactions, which a repeat completes.
func (s *Store) AddConfigFiles(ctx context.Context, id int64, files []request.ConfigFile) error {
	turn := s.changing[uint64(id)%stripes]
	if err := s.enter(ctx, turn); err != nil {
		return err
	}
	defer turn.leave()
	for p := s.newPace(); ; {
		err := s.addConfigFiles(ctx, id, files)
		if !errors.Is(err, errStale) {
			return err
		}
		if err := p.wait(ctx, err); err != nil {
			return fmt.Errorf("adding configuration files to request %d: %w", id, err)
		}
	}
}

func (s *Store) addConfigFiles(ctx context.Context, id int64, files []request.ConfigFile) error {
	there, err := s.configFiles(ctx, id)
	if err != nil {
		return err
	}
	known := map[key]bool{}
	seq := int64(0)
	for _, f := range there {
		known[fileKey(id, f.ConfigFile)] = true
		seq = max(seq, f.seq)
	}
	tx := transaction{table: s.table}
	for _, f := range files {
		k := fileKey(id, f)
		if known[k] {
			continue
		}
		known[k] = true
		seq++
		i := k.attributes()
		i[attrPath], i[attrBlob], i[attrCount] = text(f.Path), text(f.Key), number(seq)
		tx.put(i, absent())
		if len(tx.items) == maxTransaction {
			if err := s.commit(ctx, &tx); err != nil {
				return err
			}
			tx = transaction{table: s.table}
		}
	}
	if len(tx.items) == 0 {
		return nil
	}
	return s.commit(ctx, &tx)
}

// addedFile is a configuration file and when it was added: 1, 2, 3 ...
type addedFile struct {
	request.ConfigFile
	seq int64
}

// configFiles are a request's files by path, then in the order added.
func (s *Store) configFiles(ctx context.Context, id int64) ([]addedFile, error) {
	if _, err := s.readRow(ctx, id); err != nil {
		return nil, err
	}
	var files []addedFile
	err := s.query(ctx, search{partition: requestPartition(id), from: filePrefix, to: filePrefix + "~"}, func(i item) (bool, error) {
		files = append(files, addedFile{request.ConfigFile{Path: i.text(attrPath), Key: i.text(attrBlob)}, i.number(attrCount)})
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the configuration files of request %d: %w", id, err)
	}
	slices.SortFunc(files, func(a, b addedFile) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.seq, b.seq), strings.Compare(a.Key, b.Key))
	})
	return files, nil
}

// ConfigFiles implements store.Store.
func (s *Store) ConfigFiles(ctx context.Context, id int64) ([]request.ConfigFile, error) {
	added, err := s.configFiles(ctx, id)
	if err != nil {
		return nil, err
	}
	var files []request.ConfigFile
	for _, f := range added {
		files = append(files, f.ConfigFile)
	}
	return files, nil
}
