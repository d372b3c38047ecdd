package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Names of the table's keys.
const (
	partitionKey = "pk"
	sortKey      = "sk"
)

// tableReady is how long a new table may take until it can be used.
const tableReady = time.Minute

// Table is the table that a Store needs; template.yaml defines the same one for production.
func Table(name string) *sdk.CreateTableInput {
	return &sdk.CreateTableInput{
		TableName:   aws.String(name),
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(partitionKey), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(sortKey), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String(partitionKey), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String(sortKey), KeyType: types.KeyTypeRange},
		},
	}
}

// CreateTables makes the table and waits until it can be used; one that is there already is left alone.
// It is for tests and emulators: in production template.yaml makes the table.
func CreateTables(ctx context.Context, client *sdk.Client, name string) error {
	_, err := client.CreateTable(ctx, Table(name))
	var there *types.ResourceInUseException
	if err != nil && !errors.As(err, &there) {
		return fmt.Errorf("creating table %s: %w", name, err)
	}
	err = sdk.NewTableExistsWaiter(client, func(o *sdk.TableExistsWaiterOptions) { o.MinDelay = 20 * time.Millisecond }).
		Wait(ctx, &sdk.DescribeTableInput{TableName: aws.String(name)}, tableReady)
	if err != nil {
		return fmt.Errorf("waiting for table %s: %w", name, err)
	}
	return nil
}
