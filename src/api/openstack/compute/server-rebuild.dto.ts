import { BooleanField, NameField } from '../fields.js';
import {
  DescriptionField,
  DiskConfigField,
  HostnameField,
  Ipv4Field,
  Ipv6Field,
  MetadataField,
  RuledField,
  StrictField,
  UserDataField,
} from './server-fields.js';

/** From which minor version on a field of a rebuild is known. */
export const REBUILD_SINCE = {
  ...{ description: 19, key_name: 54, user_data: 57, trusted_image_certificates: 63, hostname: 90 },
} as const;

/** What a server is to be made of anew. */
export class RebuildAction {
  @NameField() imageRef: string;
  @NameField({ optional: true }) name?: string;
  @MetadataField() metadata?: Readonly<Record<string, string>>;
  @DescriptionField() description?: string | null;
  @HostnameField() hostname?: string;
  @UserDataField() user_data?: string | null;
  @StrictField({ type: String, nullable: true }, (value) =>
    value === null || (typeof value === 'string' && value.length <= 255) ? null : 'has to be the name of a keypair',
  )
  key_name?: string | null;
  @DiskConfigField() 'OS-DCF:diskConfig'?: 'AUTO' | 'MANUAL';
  @Ipv4Field() accessIPv4?: string;
  @Ipv6Field() accessIPv6?: string;
  @BooleanField({ optional: true }) preserve_ephemeral?: boolean;

  @StrictField({ type: String, maxLength: 255, description: 'Answered, and not kept.' }, (value) =>
    typeof value === 'string' && value.length <= 255 ? null : 'has to be a text of at most 255 characters',
  )
  adminPass?: string;

  @StrictField(
    { type: 'array', items: { type: 'object' }, description: 'Before 2.57; they reach no guest.' },
    (value) => (Array.isArray(value) && value.length === 0 ? null : 'files reach no guest; leave it out'),
  )
  personality?: readonly object[];

  @RuledField(
    { type: 'array', items: { type: 'string' }, nullable: true },
    () => 'certificates of images are not looked at here',
  )
  trusted_image_certificates?: null;
}
