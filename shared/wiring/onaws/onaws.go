// Package onaws is the product's home on AWS: DynamoDB, SQS and S3 as the functions use them, credentials from
// Secrets Manager, and folders below the machine's temporary one. It is what a function does at its cold start,
// and the only part of the wiring that knows AWS.
package onaws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/cachito-serverless/cachito/shared/awsclient"
	"github.com/cachito-serverless/cachito/shared/blob/s3"
	"github.com/cachito-serverless/cachito/shared/config"
	queuesqs "github.com/cachito-serverless/cachito/shared/queue/sqs"
	storedynamodb "github.com/cachito-serverless/cachito/shared/store/dynamodb"
	"github.com/cachito-serverless/cachito/shared/wiring"
)

// checkKey is written when somebody asks whether the storage works.
const checkKey = "health/check"

// Home is one function's part of the product.
type Home struct {
	wiring.Adapters
	// Config is what was loaded, with files where it named secrets.
	Config config.Config
	// Places are folders of this process alone.
	Places wiring.Places

	folder  string
	release func()
}

// Close removes the process's folder. A process that is killed instead leaves that to the next one.
func (h *Home) Close() error {
	defer h.release()
	return removeAll(h.folder)
}

// Open makes the adapters that the settings name, fetches the secrets, and tells CloudWatch (by the process's
// output) and a collector of traces what goes on: flush home.Telemetry after each event. Call it once, at the cold
// start.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (*Home, error) {
	if err := complete(cfg); err != nil {
		return nil, err
	}
	clients, err := awsclient.Load(ctx, awsclient.Settings{})
	if err != nil {
		return nil, err
	}
	home, err := OpenWith(ctx, cfg, clients)
	if err != nil {
		return nil, err
	}
	if home.Telemetry, err = wiring.FunctionTelemetry(home.Config, os.Stdout, log); err != nil {
		return nil, errors.Join(err, home.Close())
	}
	return home, nil
}

// OpenWith is Open with clients that were made elsewhere, and tells nobody.
func OpenWith(ctx context.Context, cfg config.Config, clients aws.Config) (_ *Home, err error) {
	if err := complete(cfg); err != nil {
		return nil, err
	}
	folder, release, err := ownFolder(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeAll(folder))
			release()
		}
	}()
	if cfg, err = withSecrets(ctx, cfg, clients, folder); err != nil {
		return nil, err
	}
	places, err := placesIn(folder)
	if err != nil {
		return nil, err
	}
	var options []s3.Option
	if cfg.S3PublicEndpoint != "" {
		options = append(options, s3.WithPublicEndpoint(cfg.S3PublicEndpoint))
	}
	blobs := s3.New(clients, cfg.Bucket, options...)
	return &Home{
		Config: cfg, Places: places, folder: folder, release: release,
		Adapters: wiring.Adapters{
			Store: storedynamodb.New(dynamodb.NewFromConfig(clients), cfg.Table),
			Queue: queuesqs.New(clients, cfg.QueuePrefix),
			Blobs: blobs,
			CheckBlobs: func(ctx context.Context) error {
				return blobs.Put(ctx, checkKey, []byte("ok"), true)
			},
		},
	}, nil
}

// complete reports all settings that are missing at once.
func complete(cfg config.Config) error {
	var missing []error
	for _, s := range []struct{ name, value, want string }{
		{"CACHITO_TABLE", cfg.Table, "the name of the table on DynamoDB"},
		{"CACHITO_BUCKET", cfg.Bucket, "the name of the bucket on S3"},
		{"CACHITO_QUEUE_PREFIX", cfg.QueuePrefix, "what the names of the queues on SQS begin with"},
	} {
		if strings.TrimSpace(s.value) == "" {
			missing = append(missing, fmt.Errorf("%s is not set: want %s", s.name, s.want))
		}
	}
	return errors.Join(missing...)
}
