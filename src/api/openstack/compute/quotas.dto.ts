import { IntegerField, BooleanField, NestedField } from '../fields.js';

/** Nova's largest number. */
const LIMIT_MAX = 2_147_483_647;

/** A limit; -1: none. */
function LimitField(): PropertyDecorator {
  return IntegerField({ min: -1, max: LIMIT_MAX, optional: true });
}

class QuotaFields {
  @LimitField() instances?: number;
  @LimitField() cores?: number;
  @LimitField() ram?: number;
  @LimitField() key_pairs?: number;
  @LimitField() metadata_items?: number;
  @LimitField() server_groups?: number;
  @LimitField() server_group_members?: number;
  @LimitField() injected_files?: number;
  @LimitField() injected_file_content_bytes?: number;
  @LimitField() injected_file_path_bytes?: number;
  @LimitField() fixed_ips?: number;
  @LimitField() floating_ips?: number;
  @LimitField() security_groups?: number;
  @LimitField() security_group_rules?: number;
}

class ForcedQuotaFields extends QuotaFields {
  @BooleanField({ optional: true }) force?: boolean;
}

export class ComputeQuotasBody {
  @NestedField(() => ForcedQuotaFields) quota_set: ForcedQuotaFields;
}

export class ComputeQuotaClassBody {
  @NestedField(() => QuotaFields) quota_class_set: QuotaFields;
}
