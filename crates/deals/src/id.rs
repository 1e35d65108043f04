//! The ids of this crate.

use guildhall_kernel::define_id;

define_id!(
    /// An organization.
    OrganizationId
);
define_id!(
    /// A role of members.
    RoleId
);
define_id!(
    /// A team.
    TeamId
);
define_id!(
    /// A member of an organization.
    MemberId
);
define_id!(
    /// A client.
    ClientId
);
define_id!(
    /// A contact of a client.
    ContactId
);
define_id!(
    /// A pipeline.
    PipelineId
);
define_id!(
    /// A stage of a pipeline.
    StageId
);
define_id!(
    /// A deal.
    DealId
);
define_id!(
    /// A payment, refund or reversal.
    PaymentId
);
define_id!(
    /// An activity with a client.
    ActivityId
);
define_id!(
    /// A task.
    TaskId
);
define_id!(
    /// An import.
    ImportId
);
define_id!(
    /// A custom field.
    CustomFieldId
);
define_id!(
    /// A line item of a deal.
    LineId
);
define_id!(
    /// A file of a deal.
    DealFileId
);
define_id!(
    /// A webhook.
    WebhookId
);
define_id!(
    /// A delivery to a webhook.
    DeliveryId
);
define_id!(
    /// A saved view.
    ViewId
);
define_id!(
    /// A deletion in the trash.
    DeletionId
);
